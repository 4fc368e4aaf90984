import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import {
  accountList, type Account, type AccountCreate, type AccountQuery, type AccountUpdate, type InviteCreate,
  type InviteCreated, type RoleGrant
} from '../../../schemas/people.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { canonicalEmail } from '../auth/email-address.ts'
import { hashPassword } from '../auth/passwords.ts'
import { applicationsWith } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { SignInMethods } from '../auth/sign-in-methods.ts'
import { insertUser, keepingSuperAdmin, lockSuperAdmins, type Users } from '../auth/users.ts'
import { ConflictError, ForbiddenError, ValidationError } from '../../errors.ts'
import { isValue } from '../../foundation/lists/filters.ts'
import { List, foldedText, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { takeWith } from './roles.ts'
import type { Notify } from './notify.ts'
import {
  accountFor, getChangeableAccount, getVisibleAccount, isSelf, placeOf, selectAccounts, toAccount, type AccountRow
} from './account-rows.ts'
import { hashingShareOf } from './hashing-share.ts'
import type { Reauthentication } from './reauthentication.ts'
import { authorizeAssignment, insertAssignment } from './role-assignments.ts'

export interface PeopleOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  reauthentication: Reauthentication
  methods: Pick<SignInMethods, 'requirePasswords' | 'requireOwnPassword'>
  notify: Notify
  /** Sends an invite, if the principal may not create the account. */
  invite: (principal: Principal, input: InviteCreate, by: Origin) => Promise<InviteCreated>
}

export type People = ReturnType<typeof createPeople>

/**
 * Lists and changes users. A principal with `users:*` for some applications only, and a token, sees the users who have
 * a role there, and only those of their roles. Nobody can change a user who holds more permissions.
 */
export function createPeople ({ db, users, sessions, reauthentication, methods, notify, invite }: PeopleOptions) {
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
    methods.requireOwnPassword(before)
    if (isSelf(principal, before.id)) await reauthentication.requirePassword(before.id, currentPassword, by)
  }

  return {
    async list (
      principal: Principal, { email, applicationId, roleId, ...query }: AccountQuery
    ): Promise<PageOf<Account>> {
      const visible = applicationsWith(principal, 'users:read')
      // The filters must not reveal who has a role in an application that the principal cannot see.
      const places = applicationId === undefined
        ? visible
        : visible === 'all' || visible.includes(applicationId) ? [applicationId] : []
      const { items: ids, nextCursor } = await readPage(db, list, query, {
        from: db.selectFrom('users as u').select('u.id'),
        where: [
          isValue('u.email_canonical', email === undefined ? undefined : canonicalEmail(email)),
          places === 'all' ? undefined : hasRoleIn(places)
        ],
        filters: [roleId === undefined ? undefined : hasRole(places, roleId)],
        toItem: ({ id }) => id
      })
      // Reads the roles of the users of the page, not of all that were examined.
      const rows = ids.length === 0 ? [] : await selectAccounts(db).where('u.id', 'in', ids).execute()
      const accounts = new Map(rows.map(row => [row.id, accountFor(principal, row)]))
      return { items: ids.flatMap(id => accounts.get(id) ?? []), nextCursor }
    },

    async get (principal: Principal, id: string): Promise<Account> {
      const row = await getVisibleAccount(db, principal, id, 'users:read')
      return accountFor(principal, row)
    },

    /**
     * Creates a user, if the principal may manage all users. Other principals send an invite instead, whether the
     * address has an account or not, so that they cannot find out and choose nobody's password. Throws ConflictError
     * `USER_EXISTS`, ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async create (
      principal: Principal, { name, email, password, roles = [] }: AccountCreate, by: Origin
    ): Promise<{ account: Account } | { invite: InviteCreated }> {
      methods.requirePasswords()
      const visible = applicationsWith(principal, 'users:create')
      if (visible !== 'all') return { invite: await invite(principal, { email, ...onlyRoleOf(roles) }, by) }
      for (const grant of roles) await authorizeAssignment(db, principal, grant, 'users:create')
      if (await users.findByEmail(email) !== undefined) throw userExists(email)
      const passwordHash = await hashPassword(password, hashingShareOf(principal))
      const row = await db.transaction().execute(async trx => {
        if (roles.length > 0) await lockSuperAdmins(trx)
        for (const grant of roles) await authorizeAssignment(trx, principal, grant, 'users:create')
        const created = await insertUser(trx, { name, email, passwordHash, passwordSetBy: 'other' })
        if (created === undefined) throw userExists(email)
        for (const grant of roles) await insertAssignment(trx, created.id, grant)
        const row = await selectAccounts(trx).where('u.id', '=', created.id).executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'user.created', resourceId: created.id, place: placeOf(row), after: toAccount(row, 'all')
        })
        return row
      })
      return { account: accountFor(principal, row, 'users:create') }
    },

    /**
     * Changes a user. Users need their password to change their own address. Throws ConflictError `USER_EXISTS`,
     * ForbiddenError `PERMISSION_NOT_HELD`, `PASSWORD_WRONG`.
     */
    async update (
      principal: Principal, id: string, { name, email, currentPassword }: AccountUpdate, by: Origin
    ): Promise<Account> {
      const former = await getChangeableAccount(db, principal, id, 'users:update')
      if (email !== undefined && email !== former.email) {
        await authorizeMove(principal, former, email, currentPassword, by)
      }
      // Whether the owner of the new address chose the password is not known.
      const setBy = (before: AccountRow) => before.password_set_by
      const isMoved = (before: AccountRow) =>
        email !== undefined && canonicalEmail(email) !== canonicalEmail(before.email)
      const row = await db.transaction().execute(async trx => {
        await lockSuperAdmins(trx)
        const before = await getChangeableAccount(trx, principal, id, 'users:update')
        const { numAffectedRows } = await sql`
          update users set name = ${name ?? before.name}, email = ${
          email ?? before.email
        }, updated_at = ${Date.now()}::bigint,
            password_set_by = ${isMoved(before) && setBy(before) === 'owner' ? 'other' : setBy(before)},
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
      return accountFor(principal, row)
    },

    /**
     * Deletes a user with the invites that they sent, their sessions and their API keys, and closes the sockets of
     * both. Throws ConflictError `LAST_SUPER_ADMIN`, ForbiddenError `PERMISSION_NOT_HELD`.
     */
    async remove (principal: Principal, id: string, by: Origin): Promise<void> {
      const announce = await keepingSuperAdmin(db, async trx => {
        const row = await getChangeableAccount(trx, principal, id, 'users:delete')
        const announce = await sessions.endAllWithin(trx, id)
        await takeWith(trx, by, { inviterId: id })
        await trx.deleteFrom('users').where('id', '=', id).execute()
        await record(trx, by, {
          action: 'user.deleted', resourceId: id, place: placeOf(row), before: toAccount(row, 'all')
        })
        return announce
      })
      announce()
      // The API keys that they created have lost their creator's rights.
      sessions.grantsChanged()
    },
  }
}

const list = new List(accountList, {
  columns: { createdAt: number('u.created_at'), name: foldedText('u.name'), email: foldedText('u.email') },
  identity: [text('u.id')]
})

/** Returns the condition that the user has a role in one of the places. An array is found by the primary key. */
const hasRoleIn = (places: string[]) =>
  sql<boolean>`u.id = any(array(select user_id from role_assignments where application_id = any(${places})))`

/** Returns the condition that the user has this role in one of the places. */
const hasRole = (places: string[] | 'all', roleId: string) =>
  sql<boolean>`exists (select from role_assignments a where a.user_id = u.id and a.role_id = ${roleId} ${
    places === 'all' ? sql`` : sql`and a.application_id = any(${places})`
  })`

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

export const userExists = (email: string) =>
  new ConflictError('USER_EXISTS', `A user with this email address already exists: ${email}`)

const uniqueViolation = '23505'
const takenMeanwhile = (email: string | undefined) => (error: unknown): never => {
  throw (error as { code?: string }).code === uniqueViolation ? userExists(email ?? '') : error
}
