import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Account } from '../../../schemas/people.ts'
import { applicationsWith, authorizeRule, type PermissionName } from '../access/permissions.ts'
import { permissionsOfRole } from '../access/permission-set.ts'
import type { Principal, SessionPrincipal } from '../access/principal.ts'
import { NotFoundError } from '../../errors.ts'

export interface StoredAssignment {
  roleId: string
  name: string
  builtIn: boolean
  permissions: { resource: string, action: string }[]
  applicationId: string | null
}

/** A user with all roles. */
export interface AccountRow {
  id: string
  email: string
  name: string
  mfa_confirmed_at: number | null
  password_set_by: 'owner' | 'other' | 'none'
  created_at: number
  updated_at: number
  assignments: StoredAssignment[]
}

/** Selects users with all their roles. */
export const selectAccounts = (db: Kysely<Database>) => db.selectFrom('users as u')
  .select(['u.id', 'u.email', 'u.name', 'u.mfa_confirmed_at', 'u.password_set_by', 'u.created_at', 'u.updated_at'])
  .select(sql<StoredAssignment[]>`(
    select coalesce(jsonb_agg(
      jsonb_build_object(
        'roleId', r.id, 'name', r.name, 'builtIn', r.built_in, 'permissions', r.permissions,
        'applicationId', a.application_id)
      order by r.name, a.application_id), '[]')
    from role_assignments a join roles r on r.id = a.role_id where a.user_id = u.id)`.as('assignments'))

/** Returns the user with all roles, if the principal may see them. Throws NotFoundError `USER_NOT_FOUND`. */
export async function getVisibleAccount (
  db: Kysely<Database>, principal: Principal, id: string, permission: PermissionName
): Promise<AccountRow> {
  const row = await selectAccounts(db).where('u.id', '=', id).executeTakeFirst()
  if (row === undefined || !isVisible(principal, row, permission)) throw userNotFound(id)
  return row
}

/**
 * Returns the user if the principal may change them. Throws NotFoundError `USER_NOT_FOUND`, ForbiddenError
 * `PERMISSION_NOT_HELD`.
 */
export async function getChangeableAccount (
  db: Kysely<Database>, principal: Principal, id: string, permission: PermissionName
): Promise<AccountRow> {
  const row = await getVisibleAccount(db, principal, id, permission)
  if (isSelf(principal, id)) return row
  for (const { name, applicationId, ...role } of row.assignments) {
    authorizeRule(
      principal,
      applicationId,
      permissionsOfRole({ name, isBuiltIn: role.builtIn, permissions: role.permissions }),
      `the user ${id}, who is ${name}`
    )
  }
  return row
}

export const isSelf = (principal: Principal, userId: string): principal is SessionPrincipal =>
  principal.kind === 'session' && principal.userId === userId

/** Returns whether a role is for one of the applications. */
export const isSeen = ({ applicationId }: StoredAssignment, visible: 'all' | string[]): boolean =>
  visible === 'all' || (applicationId !== null && visible.includes(applicationId))

export function isVisible (principal: Principal, row: AccountRow, permission: PermissionName): boolean {
  const visible = applicationsWith(principal, permission)
  return visible === 'all' || row.assignments.some(assignment => isSeen(assignment, visible))
}

/** Returns the application of a user's roles for the audit log, or none if there are several. */
export function placeOf ({ assignments }: AccountRow): { applicationId: string | null } {
  const [first, ...others] = new Set(assignments.map(({ applicationId }) => applicationId))
  return { applicationId: others.length === 0 ? first ?? null : null }
}

/**
 * Returns the account as the principal may see it: with the roles of its applications, and with the second factor only
 * for the user and for those who may change the user.
 */
export function accountFor (principal: Principal, row: AccountRow, permission: PermissionName = 'users:read'): Account {
  const account = toAccount(row, applicationsWith(principal, permission))
  const showsFactor = isSelf(principal, row.id) || isVisible(principal, row, 'users:update')
  return { ...account, mfaEnabled: showsFactor ? account.mfaEnabled : null }
}

/** Returns the account with those of its roles that are for the applications. */
export const toAccount = (row: AccountRow, visible: 'all' | string[]): Account => ({
  id: row.id,
  email: row.email,
  name: row.name,
  mfaEnabled: row.mfa_confirmed_at !== null,
  roles: row.assignments.filter(assignment => isSeen(assignment, visible)).map(({ roleId, name, applicationId }) => ({
    roleId, name, applicationId
  })),
  createdAt: row.created_at,
  updatedAt: row.updated_at
})

export const userNotFound = (id: string) => new NotFoundError('USER_NOT_FOUND', `User not found: ${id}`)
