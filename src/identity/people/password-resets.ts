import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'
import type { User } from '../../../schemas/auth.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { ApiKeyAdmin } from '../auth/api-key-admin.ts'
import { rememberNetwork } from '../auth/known-networks.ts'
import { networkOf } from '../auth/network.ts'
import { newOneTimeToken, oneTimeHash } from '../auth/one-time-tokens.ts'
import { hashPassword } from '../auth/passwords.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { SignInMethods } from '../auth/sign-in-methods.ts'
import { holdUser, type Users } from '../auth/users.ts'
import { ForbiddenError } from '../../errors.ts'
import type { Links } from '../mail/links.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Notify } from './notify.ts'
import { setPassword } from './user-credentials.ts'

const resetMs = 3_600_000
/** The time between two mails to one address, so that a stranger cannot fill a mailbox. */
const pauseMs = 60_000
/** Mails that are being prepared. Beyond it, a request sends no mail and can be repeated. */
const underWayMax = 100

export interface PasswordResetsOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  mailer: Mailer
  links: Links
  apiKeys: Pick<ApiKeyAdmin, 'revokeAllOf'>
  notify: Notify
  methods: Pick<SignInMethods, 'requirePasswords' | 'hasProvider'>
  log: { warn (fields: object, message: string): void }
}

export type PasswordResets = ReturnType<typeof createPasswordResets>

/** Lets users who can read their mail replace a forgotten password. */
export function createPasswordResets (
  { db, users, sessions, apiKeys, mailer, links, notify, methods, log }: PasswordResetsOptions
) {
  const mailed = new LRUCache<string, true>({ max: 20_000, ttl: pauseMs })
  const underWay = new Set<Promise<void>>()

  async function mailTo (user: User, by: Origin): Promise<void> {
    const { token, tokenHash } = newOneTimeToken('reset_')
    const now = Date.now()
    const isStored = await db.transaction().execute(async trx => {
      // A link to an address that the account has just left would open it to the owner of that address.
      if ((await holdUser(trx, user.id))?.email !== user.email) return false
      // Only the newest mail is valid.
      await trx.deleteFrom('password_resets').where(eb =>
        eb.or([eb('user_id', '=', user.id), eb('expires_at', '<=', now)])
      ).execute()
      await trx.insertInto('password_resets').values({
        token_hash: tokenHash, user_id: user.id, expires_at: now + resetMs
      }).execute()
      await record(trx, by, { action: 'user.password_reset_requested', resourceId: user.id })
      return true
    })
    if (!isStored) return
    mailer.send({
      to: user.email,
      kind: 'reset',
      subject: 'Reset your Realtime Platform password',
      link: links.to('reset-password', token),
      lines: [
        'A new password was requested for your account. Set it here within an hour:',
        'If this was not you, ignore this mail. Your password has not changed.'
      ]
    })
  }

  /** Mails a user of the identity provider why there is no link. */
  async function explainTo (user: User): Promise<void> {
    mailer.send({
      to: user.email,
      kind: 'reset',
      subject: 'Your Realtime Platform account has no password',
      lines: [
        'A new password was requested for your account. It has none: sign in with your identity provider.',
        'If this was not you, ignore this mail.'
      ]
    })
  }

  return {
    /**
     * Mails a link if the address has a user. Neither the result nor the time reveals whether it has one: the user is
     * looked up in both cases, and the rest follows after the response.
     */
    async request (email: string, by: Origin): Promise<void> {
      methods.requirePasswords()
      const found = await users.findByEmail(email)
      if (found === undefined) return
      const key = found.user.id
      if (mailed.has(key) || underWay.size >= underWayMax) return
      mailed.set(key, true)
      const isOfProvider = !found.hasPassword && methods.hasProvider
      const work: Promise<void> = (isOfProvider ? explainTo(found.user) : mailTo(found.user, by))
        .catch((err: unknown) => {
          mailed.delete(key)
          log.warn({ err }, 'password_reset.failed')
        })
        .finally(() => underWay.delete(work))
      underWay.add(work)
    },

    /**
     * Sets a new password, ends every session of the user, and revokes their API keys unless the user decides
     * otherwise, because a thief of the password may have created one. The network becomes known to the account, so
     * that guessing from elsewhere does not delay the next login. Throws ForbiddenError `RESET_INVALID`.
     */
    async reset (
      { token, password, revokeApiKeys = true }: {
        token: string, password: string, revokeApiKeys?: boolean | undefined
      },
      visitor: Origin
    ): Promise<void> {
      methods.requirePasswords()
      const tokenHash = oneTimeHash(token)
      const open = await db.selectFrom('password_resets as p').innerJoin('users as u', 'u.id', 'p.user_id').select([
        'u.id', 'u.email'
      ])
        .where('p.token_hash', '=', tokenHash).where('p.expires_at', '>', Date.now()).executeTakeFirst()
      // Check the token before hashing, which is costly.
      if (open === undefined) throw invalid()
      const by = asUser(visitor, open)
      const address = by.address ?? undefined
      // A valid token identifies the owner of the account.
      const passwordHash = await hashPassword(password, { owner: networkOf(address ?? ''), kind: 'knownLogin' })
      const announcements = await db.transaction().execute(async trx => {
        const used = await trx.deleteFrom('password_resets').where('token_hash', '=', tokenHash).where(
          'expires_at', '>', Date.now()
        ).returning('user_id').executeTakeFirst()
        if (used === undefined) throw invalid()
        await rememberNetwork(trx, open.id, address)
        const endSessions = await setPassword(trx, sessions, open.id, { passwordHash, passwordSetBy: 'owner' }, by)
        return [endSessions, ...(revokeApiKeys ? [await apiKeys.revokeAllOf(trx, open.id, by)] : [])]
      })
      for (const announce of announcements) announce()
      notify(open.email, 'passwordChanged')
    },

    /** Waits for mails that are being prepared, while the database is still open. */
    async close (): Promise<void> {
      await Promise.all(underWay)
    }
  }
}

const invalid = () =>
  new ForbiddenError('RESET_INVALID', 'The password reset is unknown, used or expired. Request another one')
