import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Account, RoleGrant } from '../../../schemas/people.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { applicationsWith, authorizeRule, type PermissionName } from '../access/permissions.ts'
import { permissionsOfRole, type PermissionSet } from '../access/permission-set.ts'
import type { Principal } from '../access/principal.ts'
import { keepingSuperAdmin, lockSuperAdmins } from '../auth/users.ts'
import { ConflictError, ForbiddenError, NotFoundError } from '../../errors.ts'
import { requireRole } from './roles.ts'
import {
  accountFor, getVisibleAccount, isSeen, isVisible, selectAccounts, userNotFound, type StoredAssignment
} from './account-rows.ts'

export type RoleAssignments = ReturnType<typeof createRoleAssignments>

/** Assigns roles to users and removes them. Calls `onGrantsChanged` after each change, so that open sockets follow. */
export function createRoleAssignments (
  { db, onGrantsChanged }: { db: Kysely<Database>, onGrantsChanged: () => void }
) {
  return {
    /**
     * Assigns a role, from the user's next request on. Throws NotFoundError, ConflictError `ROLE_ASSIGNED`,
     * ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async assign (principal: Principal, id: string, grant: RoleGrant, by: Origin): Promise<Account> {
      const row = await db.transaction().execute(async trx => {
        await lockSuperAdmins(trx)
        const row = await selectAccounts(trx).where('u.id', '=', id).executeTakeFirst()
        if (row === undefined || !isVisible(principal, row, 'users:update')) throw userNotFound(id)
        const role = await authorizeAssignment(trx, principal, grant, 'users:update')
        if (!await insertAssignment(trx, id, grant)) {
          throw new ConflictError('ROLE_ASSIGNED', `The user ${id} already has the role ${role.name} there`)
        }
        await record(trx, by, {
          action: 'user.role_assigned', resourceId: id, place: { applicationId: grant.applicationId ?? null },
          after: { ...grant, role: role.name }
        })
        return await selectAccounts(trx).where('u.id', '=', id).executeTakeFirstOrThrow()
      })
      onGrantsChanged()
      return accountFor(principal, row)
    },

    /**
     * Removes a role from a user: for one application, or without one, everywhere. Throws NotFoundError, ConflictError
     * `LAST_SUPER_ADMIN`, ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async unassign (
      principal: Principal, id: string, roleId: string, { applicationId }: { applicationId?: string | undefined },
      by: Origin
    ): Promise<void> {
      await keepingSuperAdmin(db, async trx => {
        const row = await getVisibleAccount(trx, principal, id, 'users:update')
        const visible = applicationsWith(principal, 'users:update')
        const meant = row.assignments.filter(assignment =>
          assignment.roleId === roleId && isSeen(assignment, visible) &&
          (applicationId === undefined || assignment.applicationId === applicationId)
        )
        if (meant.length === 0) {
          throw new NotFoundError('ROLE_NOT_FOUND', `The user ${id} does not have the role: ${roleId}`)
        }
        for (const assignment of meant) await removeAssignment(trx, principal, id, assignment, by)
      })
      onGrantsChanged()
    }
  }
}

/** A role to assign: for one application, or everywhere if `applicationId` is null or absent. */
export interface Grant { roleId: string, applicationId?: string | null | undefined }

/** Checks that the principal may assign the role there. Throws NotFoundError, ForbiddenError `PERMISSION_NOT_HELD`. */
export async function authorizeAssignment (
  db: Kysely<Database>, principal: Principal, { roleId, applicationId = null }: Grant, permission: PermissionName
): Promise<{ name: string, set: PermissionSet }> {
  const role = await requireRole(db, roleId)
  const visible = applicationsWith(principal, permission)
  if (applicationId !== null && visible !== 'all' && !visible.includes(applicationId)) {
    throw new ForbiddenError(
      'APPLICATION_FORBIDDEN',
      `The credential has no access to the users of the application ${applicationId}`
    )
  }
  const set = permissionsOfRole({ name: role.name, isBuiltIn: role.built_in, permissions: role.permissions })
  authorizeRule(principal, applicationId, set, `the role ${role.name}`)
  if (
    applicationId !== null &&
    await db.selectFrom('applications').select('id').where('id', '=', applicationId).executeTakeFirst() === undefined
  ) {
    throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`)
  }
  return { name: role.name, set }
}

/** Returns false if the user already has the role. */
export async function insertAssignment (
  trx: Kysely<Database>, userId: string, { roleId, applicationId = null }: Grant
): Promise<boolean> {
  const inserted = await trx.insertInto('role_assignments').values({
    user_id: userId, role_id: roleId, application_id: applicationId
  })
    .onConflict(conflict => conflict.doNothing()).returning('user_id').executeTakeFirst()
  return inserted !== undefined
}

async function removeAssignment (
  trx: Kysely<Database>, principal: Principal, userId: string,
  { roleId, name, builtIn, permissions, applicationId }: StoredAssignment, by: Origin
): Promise<void> {
  authorizeRule(
    principal, applicationId, permissionsOfRole({ name, isBuiltIn: builtIn, permissions }), `the role ${name}`
  )
  await sql`
    delete from role_assignments where user_id = ${userId} and role_id = ${roleId}
      and application_id is not distinct from ${applicationId}`.execute(trx)
  await record(trx, by, {
    action: 'user.role_removed', resourceId: userId, place: { applicationId },
    before: { roleId, applicationId, role: name }
  })
}
