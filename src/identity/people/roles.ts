import type { Kysely, Selectable } from 'kysely'
import type { Database, RolesTable } from '../../../db/tables.ts'
import { roleList, type Role, type RoleCreate, type RoleQuery, type RoleUpdate } from '../../../schemas/people.ts'
import type { Origin } from '../audit/origin.ts'
import { record, recordAll } from '../audit/record.ts'
import { authorizeRule } from '../access/permissions.ts'
import { permissionsOfRole, PermissionSet } from '../access/permission-set.ts'
import type { Principal } from '../access/principal.ts'
import { ConflictError, NotFoundError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import { isValue } from '../../foundation/lists/filters.ts'
import { List, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'

export type Roles = ReturnType<typeof createRoles>

/**
 * Lists and changes roles. Built-in roles cannot be changed. A role belongs to the platform: it can be assigned in
 * every application, directly and by open invites. To create, change or delete one, the principal must hold all of its
 * permissions everywhere, before and after the change. Tokens, and roles for one application, hold nothing everywhere.
 */
export function createRoles ({ db, onGrantsChanged }: { db: Kysely<Database>, onGrantsChanged: () => void }) {
  /** Returns a role that may be changed, and locks it against assignments until the transaction ends. */
  async function changeable (
    trx: Kysely<Database>, principal: Principal, id: string, wanted = PermissionSet.none
  ): Promise<Row> {
    const row = await trx.selectFrom('roles').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    if (row === undefined) throw roleNotFound(id)
    if (row.built_in) throw new ConflictError('ROLE_BUILT_IN', `The role ${row.name} is built in and cannot be changed`)
    authorizeRule(principal, null, setOf(row).union(wanted), `the role ${row.name}`)
    return row
  }

  return {
    list: async ({ builtIn, ...query }: RoleQuery): Promise<PageOf<Role>> =>
      await readPage(db, list, query, {
        from: db.selectFrom('roles').selectAll(), filters: [isValue('built_in', builtIn)], toItem: toRole
      }),

    /** Creates a role. Throws ConflictError `ROLE_EXISTS`, ForbiddenError `PERMISSION_NOT_HELD`. */
    async create (
      principal: Principal, { name, description = '', permissions }: RoleCreate, by: Origin
    ): Promise<Role> {
      authorizeRule(principal, null, permissionsOfRole({ name, isBuiltIn: false, permissions }), `the role ${name}`)
      const now = Date.now()
      return await db.transaction().execute(async trx => {
        const row = await trx.insertInto('roles')
          .values({
            id: randomId('role'), name, description, built_in: false,
            permissions: JSON.stringify(distinct(permissions)), created_at: now, updated_at: now
          })
          .onConflict(conflict => conflict.doNothing()).returningAll().executeTakeFirst()
        if (row === undefined) throw roleExists(name)
        await record(trx, by, { action: 'role.created', resourceId: row.id, after: toRole(row) })
        return toRole(row)
      })
    },

    /**
     * Changes a role, from its holders' next request on. Throws ConflictError `ROLE_BUILT_IN` or `ROLE_EXISTS`,
     * ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async update (
      principal: Principal, id: string, { name, description, permissions }: RoleUpdate, by: Origin
    ): Promise<Role> {
      const role = await db.transaction().execute(async trx => {
        const wanted = permissions === undefined
          ? undefined
          : permissionsOfRole({ name: name ?? id, isBuiltIn: false, permissions })
        const before = await changeable(trx, principal, id, wanted)
        if (
          name !== undefined &&
          await trx.selectFrom('roles').select('id').where('name', '=', name).where('id', '!=', id)
            .executeTakeFirst() !== undefined
        ) throw roleExists(name)
        const after = await trx.updateTable('roles').set({
          ...(name !== undefined && { name }),
          ...(description !== undefined && { description }),
          ...(permissions !== undefined && { permissions: JSON.stringify(distinct(permissions)) }),
          updated_at: Date.now()
        }).where('id', '=', id).returningAll().executeTakeFirstOrThrow().catch((error: unknown) => {
          throw (error as { code?: string }).code === uniqueViolation ? roleExists(name ?? '') : error
        })
        await record(trx, by, { action: 'role.updated', resourceId: id, before: toRole(before), after: toRole(after) })
        return toRole(after)
      })
      onGrantsChanged()
      return role
    },

    /**
     * Deletes a role with its assignments and open invites. Throws ConflictError `ROLE_BUILT_IN`, ForbiddenError
     * `PERMISSION_NOT_HELD`.
     */
    async remove (principal: Principal, id: string, by: Origin): Promise<void> {
      await db.transaction().execute(async trx => {
        const before = await changeable(trx, principal, id)
        await takeWith(trx, by, { roleId: id })
        await trx.deleteFrom('roles').where('id', '=', id).execute()
        await record(trx, by, { action: 'role.deleted', resourceId: id, before: toRole(before) })
      })
      onGrantsChanged()
    }
  }
}

const name = text('name')
const list = new List(roleList, {
  columns: {
    name, createdAt: number('created_at'), updatedAt: number('updated_at'), description: text('description')
  },
  identity: [name]
})

type Row = Selectable<RolesTable>

/** Returns a role and locks it until the transaction ends. Throws NotFoundError `ROLE_NOT_FOUND`. */
export async function requireRole (db: Kysely<Database>, id: string): Promise<Row> {
  const row = await db.selectFrom('roles').selectAll().where('id', '=', id).forKeyShare().executeTakeFirst()
  if (row === undefined) throw roleNotFound(id)
  return row
}

const setOf = (row: Row): PermissionSet =>
  permissionsOfRole({ name: row.name, isBuiltIn: row.built_in, permissions: row.permissions })

function distinct (permissions: RoleCreate['permissions']): RoleCreate['permissions'] {
  return [...new Map(permissions.map(pair => [`${pair.resource}:${pair.action}`, pair])).values()]
}

const toRole = (row: Row): Role => ({
  id: row.id,
  name: row.name,
  description: row.description,
  builtIn: row.built_in,
  permissions: setOf(row).toPairs(),
  createdAt: row.created_at,
  updatedAt: row.updated_at
})

const uniqueViolation = '23505'
const roleNotFound = (id: string) => new NotFoundError('ROLE_NOT_FOUND', `Role not found: ${id}`)
const roleExists = (name: string) => new ConflictError('ROLE_EXISTS', `A role with this name already exists: ${name}`)

/**
 * Deletes the invites and role assignments of a role, an application, or a user who sent invites, before that is
 * deleted. The database would delete them as well, but without entries in the audit log.
 */
export async function takeWith (
  trx: Kysely<Database>, by: Origin, gone: { roleId: string } | { applicationId: string } | { inviterId: string }
): Promise<void> {
  const column = 'roleId' in gone ? 'role_id' : 'application_id'
  const id = 'roleId' in gone ? gone.roleId : 'applicationId' in gone ? gone.applicationId : gone.inviterId
  const names = new Map(
    (await trx.selectFrom('roles').select(['id', 'name']).execute()).map(role => [role.id, role.name])
  )
  const invites = await trx.deleteFrom('invites').where('inviterId' in gone ? 'invited_by' : column, '=', id)
    .returningAll().execute()
  const assignments = 'inviterId' in gone
    ? []
    : await trx.deleteFrom('role_assignments').where(column, '=', id).returningAll().execute()
  await recordAll(trx, by, [
    ...invites.map(row => ({
      action: 'invite.withdrawn' as const,
      resourceId: row.id,
      place: { applicationId: row.application_id },
      before: {
        id: row.id, email: row.email, roleId: row.role_id, role: names.get(row.role_id),
        applicationId: row.application_id, invitedBy: row.invited_by
      }
    })),
    ...assignments.map(row => ({
      action: 'user.role_removed' as const,
      resourceId: row.user_id,
      place: { applicationId: row.application_id },
      before: { roleId: row.role_id, applicationId: row.application_id, role: names.get(row.role_id) }
    }))
  ])
}
