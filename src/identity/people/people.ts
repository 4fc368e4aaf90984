import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type {
  Account, AccountCreate, AccountQuery, AccountUpdate, InviteCreate, InviteCreated, RoleGrant
} from '../../../schemas/people.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { canonicalEmail } from '../auth/email-address.ts'
import type { HashingShare } from '../auth/hashing-queue.ts'
import { LoginGate } from '../auth/login-throttle.ts'
import { hashPassword, verifyPassword } from '../auth/passwords.ts'
import { applicationsWith, authorizeRule, isAllowed, type PermissionName } from '../access/permissions.ts'
import { permissionsOfRole, type PermissionSet } from '../access/permission-set.ts'
import type { Principal, SessionPrincipal } from '../access/principal.ts'
import type { RefusedLogins } from '../auth/refused-logins.ts'
import type { SecondFactor } from '../auth/second-factor.ts'
import type { Sessions } from '../auth/sessions.ts'
import { keepingSuperAdmin, lockSuperAdmins, insertUser, type Users } from '../auth/users.ts'
import type { Notices } from '../../cluster/invalidations.ts'
import { ConflictError, ForbiddenError, NotFoundError, RateLimitError, ValidationError } from '../../errors.ts'
import { decodeCursor, toPage, type PageOf } from '../../foundation/paging.ts'
import { takeWith, requireRole } from './roles.ts'
import type { Notify } from './notify.ts'

export interface PeopleOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  secondFactor: SecondFactor
  refusedLogins: RefusedLogins
  notices: Notices
  notify: Notify
  /** Sends an invite, if the principal may not create the account. */
  invite: (principal: Principal, input: InviteCreate, by: Origin) => Promise<InviteCreated>
  /** Called after the roles of a user have changed, so that open sockets follow. */
  onGrantsChanged: () => void
}

interface StoredAssignment {
  roleId: string
  name: string
  builtIn: boolean
  permissions: { resource: string, action: string }[]
  applicationId: string | null
}
interface AccountRow {
  id: string
  email: string
  name: string
  mfa_confirmed_at: number | null
  created_at: number
  updated_at: number
  assignments: StoredAssignment[]
}

export type People = ReturnType<typeof createPeople>

/**
 * Lists and changes users. A principal with `users:*` for some applications only, and a token, sees the users who have
 * a role there, and only those of their roles. Nobody can change a user who holds more permissions.
 */
export function createPeople (
  { db, users, sessions, secondFactor, refusedLogins, notices, notify, invite, onGrantsChanged }: PeopleOptions
) {
  const passwordGate = new LoginGate({ what: 'wrong passwords', notices })

  /** Returns the user with all roles, if the principal may see them. Throws NotFoundError `USER_NOT_FOUND`. */
  async function find (
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
  async function rule (
    db: Kysely<Database>, principal: Principal, id: string, permission: PermissionName
  ): Promise<AccountRow> {
    const row = await find(db, principal, id, permission)
    if (principal.kind === 'session' && principal.userId === id) return row
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

  /** Returns the user if the principal is that user or may change them. */
  async function selfOrRuler (principal: Principal, id: string): Promise<{ row: AccountRow, isSelf: boolean }> {
    if (principal.kind === 'session' && principal.userId === id) {
      const row = await selectAccounts(db).where('u.id', '=', id).executeTakeFirst()
      if (row === undefined) throw userNotFound(id)
      return { row, isSelf: true }
    }
    if (!isAllowed(principal, null, 'users:update')) throw userNotFound(id)
    return { row: await rule(db, principal, id, 'users:update'), isSelf: false }
  }

  /**
   * Requires the password of a logged-in user, so that an open session is not enough. Throws ForbiddenError
   * `PASSWORD_WRONG`, RateLimitError after several wrong ones.
   */
  async function requirePassword (id: string, currentPassword: string | undefined, by: Origin): Promise<void> {
    if (currentPassword === undefined) throw passwordWrong()
    await notingRefusal(by, id, async () => {
      const isRight = await passwordGate.attempt(
        id, async () => await verifyPassword(await users.passwordHashOf(id), currentPassword, ownShare(id)) || undefined
      )
      if (isRight !== true) throw passwordWrong()
    })
  }

  /** Records the refusal of a logged-in user's password or code. */
  async function notingRefusal<T> (by: Origin, userId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== undefined) await refusedLogins.repetition(by, { userId, reason })
      throw error
    }
  }

  /** Checks that the principal may change the address of a user. Throws ForbiddenError. */
  async function authorizeMove (
    principal: Principal, before: AccountRow, email: string, currentPassword: string | undefined, by: Origin
  ): Promise<void> {
    // A conflict would reveal users of other applications.
    if (
      canonicalEmail(email) !== canonicalEmail(before.email) && applicationsWith(principal, 'users:update') !== 'all'
    ) {
      throw new ForbiddenError(
        'PERMISSION_NOT_HELD', 'Only a user with users:update everywhere can change an email address'
      )
    }
    if (principal.kind === 'session' && principal.userId === before.id) {
      await requirePassword(before.id, currentPassword, by)
    }
  }

  /** Throws ForbiddenError `SESSION_REQUIRED` unless the principal is the user: only they may see the secret. */
  async function requireSelf (principal: Principal, id: string): Promise<SessionPrincipal> {
    if (principal.kind === 'session' && principal.userId === id) return principal
    await find(db, principal, id, 'users:read')
    throw new ForbiddenError('SESSION_REQUIRED', 'Only the user can set up their second factor. Log in as that user')
  }

  return {
    /** Returns a page of users, oldest first. */
    async list (
      principal: Principal, { limit = 100, cursor, email, applicationId }: AccountQuery
    ): Promise<PageOf<Account>> {
      let query = selectAccounts(db).orderBy('u.created_at').orderBy('u.id').limit(limit + 1)
      const visible = applicationsWith(principal, 'users:read')
      if (visible !== 'all') query = query.where(hasRoleIn(visible))
      if (applicationId !== undefined) query = query.where(hasRoleIn([applicationId]))
      if (email !== undefined) query = query.where('u.email_canonical', '=', canonicalEmail(email))
      if (cursor !== undefined) {
        const [createdAt, id] = decodeCursor(cursor, ['number', 'string'])
        query = query.where(sql<boolean>`(u.created_at, u.id) > (${createdAt}, ${id})`)
      }
      return toPage(await query.execute(), limit, row => toAccount(row, visible), row => [row.created_at, row.id])
    },

    async get (principal: Principal, id: string): Promise<Account> {
      return toAccount(await find(db, principal, id, 'users:read'), applicationsWith(principal, 'users:read'))
    },

    /**
     * Creates a user, if the principal may manage all users. Other principals send an invite instead, whether the
     * address has an account or not, so that they cannot find out and choose nobody's password. Throws ConflictError
     * `USER_EXISTS`, ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async create (
      principal: Principal, { name, email, password, roles = [] }: AccountCreate, by: Origin
    ): Promise<{ account: Account } | { invite: InviteCreated }> {
      const visible = applicationsWith(principal, 'users:create')
      if (visible !== 'all') return { invite: await invite(principal, { email, ...onlyRoleOf(roles) }, by) }
      for (const grant of roles) await authorizeAssignment(db, principal, grant, 'users:create')
      if (await users.findByEmail(email) !== undefined) throw userExists(email)
      const passwordHash = await hashPassword(password, shareOf(principal))
      const row = await db.transaction().execute(async trx => {
        if (roles.length > 0) await lockSuperAdmins(trx)
        for (const grant of roles) await authorizeAssignment(trx, principal, grant, 'users:create')
        const created = await insertUser(trx, { name, email, passwordHash })
        if (created === undefined) throw userExists(email)
        for (const grant of roles) await insertAssignment(trx, created.id, grant)
        const row = await selectAccounts(trx).where('u.id', '=', created.id).executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'user.created', resourceId: created.id, place: placeOf(row), after: toAccount(row, 'all')
        })
        return row
      })
      return { account: toAccount(row, visible) }
    },

    /**
     * Changes a user. Users need their password to change their own address. Throws ConflictError `USER_EXISTS`,
     * ForbiddenError `PERMISSION_NOT_HELD`, `PASSWORD_WRONG`.
     */
    async update (
      principal: Principal, id: string, { name, email, currentPassword }: AccountUpdate, by: Origin
    ): Promise<Account> {
      const former = await rule(db, principal, id, 'users:update')
      if (email !== undefined && email !== former.email) {
        await authorizeMove(principal, former, email, currentPassword, by)
      }
      const row = await db.transaction().execute(async trx => {
        await lockSuperAdmins(trx)
        const before = await rule(trx, principal, id, 'users:update')
        const { numAffectedRows } = await sql`
          update users set name = ${name ?? before.name}, email = ${
          email ?? before.email
        }, updated_at = ${Date.now()}::bigint,
            email_canonical = ${email === undefined ? sql.ref('email_canonical') : canonicalEmail(email)}
          where id = ${id} and not exists (select from users where email_canonical = ${
          canonicalEmail(email ?? '')
        } and id <> ${id})`.execute(trx).catch(takenMeanwhile(email))
        if (numAffectedRows !== 1n) throw userExists(email ?? '')
        // A reset that was mailed to the old address must not work any longer.
        if (email !== undefined && email !== before.email) {
          await trx.deleteFrom('password_resets').where('user_id', '=', id).execute()
        }
        const after = await selectAccounts(trx).where('u.id', '=', id).executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'user.updated', resourceId: id, place: placeOf(after), before: toAccount(before, 'all'),
          after: toAccount(after, 'all')
        })
        return after
      })
      if (row.email !== former.email) notify(former.email, 'addressChanged')
      return toAccount(row, applicationsWith(principal, 'users:read'))
    },

    /**
     * Deletes a user with the invites that they sent and their sessions, and closes their sockets. Throws ConflictError
     * `LAST_SUPER_ADMIN`, ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async remove (principal: Principal, id: string, by: Origin): Promise<void> {
      const announce = await keepingSuperAdmin(db, async trx => {
        const row = await rule(trx, principal, id, 'users:delete')
        const announce = await sessions.endAllWithin(trx, id)
        await takeWith(trx, by, { inviterId: id })
        await trx.deleteFrom('users').where('id', '=', id).execute()
        await record(trx, by, {
          action: 'user.deleted', resourceId: id, place: placeOf(row), before: toAccount(row, 'all')
        })
        return announce
      })
      announce()
    },

    /**
     * Sets a new password and ends every session of the user. Users need their current password; administrators do not.
     * Throws ForbiddenError `PASSWORD_WRONG`, RateLimitError after several wrong ones.
     */
    async changePassword (
      principal: Principal, id: string,
      { currentPassword, newPassword }: { currentPassword?: string | undefined, newPassword: string }, by: Origin
    ): Promise<void> {
      const { row, isSelf } = await selfOrRuler(principal, id)
      if (isSelf) await requirePassword(id, currentPassword, by)
      const passwordHash = await hashPassword(newPassword, shareOf(principal))
      const announce = await db.transaction().execute(async trx => {
        // The user's roles may have changed during the hashing.
        if (!isSelf) {
          await lockSuperAdmins(trx)
          await rule(trx, principal, id, 'users:update')
        }
        return await setPassword(trx, sessions, id, passwordHash, by)
      })
      announce()
      notify(row.email, 'passwordChanged')
    },

    /**
     * Creates a second factor, to be confirmed. Throws ForbiddenError `SESSION_REQUIRED`, `PASSWORD_WRONG`,
     * ConflictError `MFA_ENABLED`.
     */
    async setUpMfa (
      principal: Principal, id: string, { currentPassword }: { currentPassword?: string | undefined }, by: Origin
    ) {
      const { user } = await requireSelf(principal, id)
      await requirePassword(id, currentPassword, by)
      return await secondFactor.setUp(user, by)
    },

    async confirmMfa (principal: Principal, id: string, code: string, by: Origin) {
      const { user } = await requireSelf(principal, id)
      const codes = await notingRefusal(by, id, async () => await secondFactor.confirm(id, code, by))
      notify(user.email, 'mfaEnabled')
      return codes
    },

    /**
     * Disables a second factor. Users need their password and a code; administrators do not. Throws ForbiddenError
     * `PASSWORD_WRONG`, `MFA_CODE_INVALID`.
     */
    async disableMfa (
      principal: Principal, id: string,
      { currentPassword, code }: { currentPassword?: string | undefined, code?: string | undefined }, by: Origin
    ): Promise<void> {
      const { row, isSelf } = await selfOrRuler(principal, id)
      if (isSelf && row.mfa_confirmed_at !== null) {
        await requirePassword(id, currentPassword, by)
        await notingRefusal(by, id, async () => await secondFactor.require(id, code ?? '', by))
      }
      await db.transaction().execute(async trx => {
        // The user's roles may have changed since the first check.
        if (!isSelf) {
          await lockSuperAdmins(trx)
          await rule(trx, principal, id, 'users:update')
        }
        await secondFactor.disable(trx, id, by)
      })
      if (row.mfa_confirmed_at !== null) notify(row.email, 'mfaDisabled')
    },

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
      return toAccount(row, applicationsWith(principal, 'users:read'))
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
        const row = await find(trx, principal, id, 'users:update')
        const visible = applicationsWith(principal, 'users:update')
        const meant = row.assignments.filter(assignment =>
          assignment.roleId === roleId && isSeen(assignment, visible) &&
          (applicationId === undefined || assignment.applicationId === applicationId)
        )
        if (meant.length === 0) {
          throw new NotFoundError('ROLE_NOT_FOUND', `The user ${id} does not have the role: ${roleId}`)
        }
        for (const { name, builtIn, permissions, applicationId } of meant) {
          authorizeRule(
            principal, applicationId, permissionsOfRole({ name, isBuiltIn: builtIn, permissions }), `the role ${name}`
          )
          await sql`
            delete from role_assignments where user_id = ${id} and role_id = ${roleId}
              and application_id is not distinct from ${applicationId}`.execute(trx)
          await record(trx, by, {
            action: 'user.role_removed', resourceId: id, place: { applicationId },
            before: { roleId, applicationId, role: name }
          })
        }
      })
      onGrantsChanged()
    }
  }
}

/**
 * Sets a password, ends the user's sessions, and deletes password resets and pending logins. Call the returned function
 * after the commit.
 */
export async function setPassword (
  trx: Kysely<Database>, sessions: Sessions, id: string, passwordHash: string, by: Origin
): Promise<() => void> {
  const changed = await trx.updateTable('users').set({ password_hash: passwordHash, updated_at: Date.now() }).where(
    'id', '=', id
  ).returning('id').executeTakeFirst()
  if (changed === undefined) throw userNotFound(id)
  await trx.deleteFrom('password_resets').where('user_id', '=', id).execute()
  await trx.deleteFrom('mfa_challenges').where('user_id', '=', id).execute()
  await record(trx, by, { action: 'user.password_changed', resourceId: id })
  return await sessions.endAllWithin(trx, id)
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

const selectAccounts = (db: Kysely<Database>) => db.selectFrom('users as u')
  .select(['u.id', 'u.email', 'u.name', 'u.mfa_confirmed_at', 'u.created_at', 'u.updated_at'])
  .select(sql<StoredAssignment[]>`(
    select coalesce(jsonb_agg(
      jsonb_build_object(
        'roleId', r.id, 'name', r.name, 'builtIn', r.built_in, 'permissions', r.permissions,
        'applicationId', a.application_id)
      order by r.name, a.application_id), '[]')
    from role_assignments a join roles r on r.id = a.role_id where a.user_id = u.id)`.as('assignments'))

const hasRoleIn = (applicationIds: string[]) =>
  sql<
    boolean
  >`exists (select from role_assignments a where a.user_id = u.id and a.application_id = any(${applicationIds}))`

const isSeen = ({ applicationId }: StoredAssignment, visible: 'all' | string[]): boolean =>
  visible === 'all' || (applicationId !== null && visible.includes(applicationId))

function isVisible (principal: Principal, row: AccountRow, permission: PermissionName): boolean {
  const visible = applicationsWith(principal, permission)
  return visible === 'all' || row.assignments.some(assignment => isSeen(assignment, visible))
}

/** Returns the application of a user's roles for the audit log, or none if there are several. */
function placeOf ({ assignments }: AccountRow): { applicationId: string | null } {
  const [first, ...others] = new Set(assignments.map(({ applicationId }) => applicationId))
  return { applicationId: others.length === 0 ? first ?? null : null }
}

const toAccount = (row: AccountRow, visible: 'all' | string[]): Account => ({
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

/** Returns the owner of a principal's hashing work. Tokens share the queue of their application. */
const shareOf = (principal: Principal): HashingShare =>
  principal.kind === 'session'
    ? ownShare(principal.userId)
    : { owner: `application ${principal.applicationId}`, kind: 'other' }

const ownShare = (userId: string): HashingShare => ({ owner: `user ${userId}`, kind: 'other' })

/** An invite grants one role. */
function onlyRoleOf (roles: RoleGrant[]): RoleGrant {
  const [role, ...others] = roles
  if (role !== undefined && others.length === 0) return role
  throw new ValidationError(
    'VALIDATION_FAILED',
    'The body /roles must have exactly one role, for an application of yours. Only callers with users:create ' +
      'everywhere may give another number of roles',
    {
      details: [{ path: '/roles', message: 'must have exactly one role, for an application of yours' }]
    }
  )
}

/** Returns why a password or code was refused; undefined for another error. */
function reasonOf (error: unknown): 'password' | 'code' | 'rate_limited' | undefined {
  if (error instanceof RateLimitError) return 'rate_limited'
  if (!(error instanceof ForbiddenError)) return undefined
  return error.code === 'PASSWORD_WRONG' ? 'password' : error.code === 'MFA_CODE_INVALID' ? 'code' : undefined
}

const passwordWrong = () => new ForbiddenError('PASSWORD_WRONG', 'The current password is missing or wrong')
const userNotFound = (id: string) => new NotFoundError('USER_NOT_FOUND', `User not found: ${id}`)
export const userExists = (email: string) =>
  new ConflictError('USER_EXISTS', `A user with this email address already exists: ${email}`)

const uniqueViolation = '23505'
const takenMeanwhile = (email: string | undefined) => (error: unknown): never => {
  throw (error as { code?: string }).code === uniqueViolation ? userExists(email ?? '') : error
}
