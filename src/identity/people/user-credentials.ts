import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { ApiKeyAdmin } from '../auth/api-key-admin.ts'
import { hashPassword } from '../auth/passwords.ts'
import { isAllowed } from '../access/permissions.ts'
import type { Principal, SessionPrincipal } from '../access/principal.ts'
import type { SecondFactor } from '../auth/second-factor.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { SignInMethods } from '../auth/sign-in-methods.ts'
import { lockSuperAdmins } from '../auth/users.ts'
import { ForbiddenError } from '../../errors.ts'
import type { Notify } from './notify.ts'
import {
  getChangeableAccount, getVisibleAccount, isSelf, selectAccounts, userNotFound, type AccountRow
} from './account-rows.ts'
import { hashingShareOf } from './hashing-share.ts'
import type { Reauthentication } from './reauthentication.ts'

export interface UserCredentialsOptions {
  db: Kysely<Database>
  sessions: Sessions
  secondFactor: SecondFactor
  reauthentication: Reauthentication
  apiKeys: Pick<ApiKeyAdmin, 'revokeAllOf'>
  methods: Pick<SignInMethods, 'requirePasswords' | 'requireOwnPassword'>
  notify: Notify
}

export type UserCredentials = ReturnType<typeof createUserCredentials>

/**
 * Changes passwords and second factors, for users themselves or for administrators. Each function throws ForbiddenError
 * `SESSION_REQUIRED` for a token: with a new password and no second factor, its bearer could log in as the user. Users
 * of the identity provider have neither (ConflictError `OIDC_ACCOUNT`).
 */
export function createUserCredentials (
  { db, sessions, secondFactor, reauthentication, apiKeys, methods, notify }: UserCredentialsOptions
) {
  const { requirePassword, recordRefusal } = reauthentication

  /** Returns the user if the principal is that user or may change them. */
  async function getOwnOrChangeable (principal: Principal, id: string): Promise<{ row: AccountRow, isOwn: boolean }> {
    requireSession(principal)
    if (isSelf(principal, id)) {
      return { row: await getOwnAccount(db, id), isOwn: true }
    }
    if (!isAllowed(principal, null, 'users:update')) throw userNotFound(id)
    return { row: await getChangeableAccount(db, principal, id, 'users:update'), isOwn: false }
  }

  /** Throws ForbiddenError `SESSION_REQUIRED` unless the principal is the user: only they may see the secret. */
  async function requireSelf (principal: Principal, id: string): Promise<SessionPrincipal> {
    requireSession(principal)
    if (isSelf(principal, id)) return principal
    await getVisibleAccount(db, principal, id, 'users:read')
    throw new ForbiddenError('SESSION_REQUIRED', 'Only the user can set up their second factor. Log in as that user')
  }

  return {
    /**
     * Sets a new password and ends every session of the user. Users need their current password; administrators do not,
     * and their change also revokes the API keys of the user, unless they decide otherwise. Throws ForbiddenError
     * `PASSWORD_WRONG`, RateLimitError after several wrong ones.
     */
    async changePassword (
      principal: Principal, id: string,
      { currentPassword, newPassword, revokeApiKeys }: {
        currentPassword?: string | undefined, newPassword: string, revokeApiKeys?: boolean | undefined
      },
      by: Origin
    ): Promise<void> {
      const { row, isOwn } = await getOwnOrChangeable(principal, id)
      methods.requirePasswords()
      methods.requireOwnPassword(row)
      if (isOwn) await requirePassword(id, currentPassword, by)
      const passwordHash = await hashPassword(newPassword, hashingShareOf(principal))
      const announce = await db.transaction().execute(async trx => {
        // The user's roles may have changed during the hashing.
        if (!isOwn) {
          await lockSuperAdmins(trx)
          await getChangeableAccount(trx, principal, id, 'users:update')
        }
        // A sign-in with the identity provider may have removed the password during the hashing.
        const now = await trx.selectFrom('users').select('password_set_by').where('id', '=', id).forNoKeyUpdate()
          .executeTakeFirst()
        if (now === undefined) throw userNotFound(id)
        methods.requireOwnPassword(now)
        const passwordSetBy = isOwn && now.password_set_by === 'owner' ? 'owner' : 'other'
        const endSessions = await setPassword(trx, sessions, id, { passwordHash, passwordSetBy }, by)
        const endKeys = revokeApiKeys ?? !isOwn ? await apiKeys.revokeAllOf(trx, id, by) : () => {}
        return () => {
          endSessions()
          endKeys()
        }
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
      methods.requirePasswords()
      methods.requireOwnPassword(await getOwnAccount(db, id))
      await requirePassword(id, currentPassword, by)
      return await secondFactor.setUp(user, by)
    },

    async confirmMfa (principal: Principal, id: string, code: string, by: Origin) {
      const { user } = await requireSelf(principal, id)
      const codes = await recordRefusal(by, id, async () => await secondFactor.confirm(id, code, by))
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
      const { row, isOwn } = await getOwnOrChangeable(principal, id)
      if (isOwn && row.mfa_confirmed_at !== null) {
        await requirePassword(id, currentPassword, by)
        await recordRefusal(by, id, async () => await secondFactor.require(id, code ?? '', by))
      }
      await db.transaction().execute(async trx => {
        // The user's roles may have changed since the first check.
        if (!isOwn) {
          await lockSuperAdmins(trx)
          await getChangeableAccount(trx, principal, id, 'users:update')
        }
        await secondFactor.disable(trx, id, by)
      })
      if (row.mfa_confirmed_at !== null) notify(row.email, 'mfaDisabled')
    }
  }
}

async function getOwnAccount (db: Kysely<Database>, id: string): Promise<AccountRow> {
  const row = await selectAccounts(db).where('u.id', '=', id).executeTakeFirst()
  if (row === undefined) throw userNotFound(id)
  return row
}

function requireSession (principal: Principal): void {
  if (principal.kind === 'session') return
  throw new ForbiddenError(
    'SESSION_REQUIRED', 'A token cannot change passwords or second factors. Log in to change them'
  )
}

/**
 * Sets a password, ends the user's sessions, and deletes password resets and pending logins. Call the returned function
 * after the commit.
 */
export async function setPassword (
  trx: Kysely<Database>, sessions: Sessions, id: string,
  { passwordHash, passwordSetBy }: { passwordHash: string, passwordSetBy: 'owner' | 'other' }, by: Origin
): Promise<() => void> {
  const changed = await trx.updateTable('users').set({
    password_hash: passwordHash, password_set_by: passwordSetBy, updated_at: Date.now()
  }).where('id', '=', id).returning('id').executeTakeFirst()
  if (changed === undefined) throw userNotFound(id)
  await trx.deleteFrom('password_resets').where('user_id', '=', id).execute()
  await trx.deleteFrom('mfa_challenges').where('user_id', '=', id).execute()
  await record(trx, by, { action: 'user.password_changed', resourceId: id })
  return await sessions.endAllWithin(trx, id)
}
