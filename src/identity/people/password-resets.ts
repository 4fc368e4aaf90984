import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'
import type { User } from '../../../schemas/auth.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { rememberNetwork } from '../auth/known-networks.ts'
import { networkOf } from '../auth/network.ts'
import { newOneTimeToken, oneTimeHash } from '../auth/one-time-tokens.ts'
import { hashPassword } from '../auth/passwords.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { Users } from '../auth/users.ts'
import { ForbiddenError } from '../../errors.ts'
import type { Links } from '../mail/links.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Notify } from './notify.ts'
import { setPassword } from './people.ts'

const resetMs = 3_600_000
/** Between two mails to one address: nobody's mailbox is filled by a stranger. */
const pauseMs = 60_000
/** Look-ups and mails that are under way; beyond it, a request gets no mail, and may be made again. */
const underWayMax = 100

export interface PasswordResetsOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  mailer: Mailer
  links: Links
  notify: Notify
  log: { warn (fields: object, message: string): void }
}

export type PasswordResets = ReturnType<typeof createPasswordResets>

/** A forgotten password is replaced by whoever reads the mail of its user. */
export function createPasswordResets ({ db, users, sessions, mailer, links, notify, log }: PasswordResetsOptions) {
  const mailed = new LRUCache<string, true>({ max: 20_000, ttl: pauseMs })
  const underWay = new Set<Promise<void>>()

  async function mailTo (user: User, by: Origin): Promise<void> {
    const { token, tokenHash } = newOneTimeToken('reset_')
    const now = Date.now()
    await db.transaction().execute(async trx => {
      // The newest mail is the one that works.
      await trx.deleteFrom('password_resets').where(eb =>
        eb.or([eb('user_id', '=', user.id), eb('expires_at', '<=', now)])
      ).execute()
      await trx.insertInto('password_resets').values({
        token_hash: tokenHash, user_id: user.id, expires_at: now + resetMs
      }).execute()
      await record(trx, by, { action: 'user.password_reset_requested', resourceId: user.id })
    })
    mailer.send({
      to: user.email,
      kind: 'reset',
      subject: 'A new password for the Realtime Platform',
      link: links.to('reset-password', token),
      lines: [
        'Somebody, likely you, has asked for a new password. Set it here, within an hour:',
        'If it was not you, nothing has changed: you need not do anything.'
      ]
    })
  }

  return {
    /**
     * Says nothing, not even by the time that it takes, of whether the address has a user: both are looked up, and the
     * rest is done after the answer.
     */
    async request (email: string, by: Origin): Promise<void> {
      const found = await users.findByEmail(email)
      if (found === undefined) return
      const key = found.user.id
      if (mailed.has(key) || underWay.size >= underWayMax) return
      mailed.set(key, true)
      const work: Promise<void> = mailTo(found.user, by)
        .catch((err: unknown) => {
          mailed.delete(key)
          log.warn({ err }, 'password_reset.failed')
        })
        .finally(() => underWay.delete(work))
      underWay.add(work)
    },

    /**
     * Ends every session of the user, and makes the network known to their account: whoever guesses at it from
     * elsewhere does not slow down the login that follows. Throws ForbiddenError `RESET_INVALID`.
     */
    async reset ({ token, password }: { token: string, password: string }, visitor: Origin): Promise<void> {
      const tokenHash = oneTimeHash(token)
      const open = await db.selectFrom('password_resets as p').innerJoin('users as u', 'u.id', 'p.user_id').select([
        'u.id', 'u.email'
      ])
        .where('p.token_hash', '=', tokenHash).where('p.expires_at', '>', Date.now()).executeTakeFirst()
      // No password is hashed for a stranger's guess.
      if (open === undefined) throw invalid()
      const by = asUser(visitor, open)
      const address = by.address ?? undefined
      // Whoever has the token is no stranger to the account.
      const passwordHash = await hashPassword(password, { owner: networkOf(address ?? ''), kind: 'knownLogin' })
      const announce = await db.transaction().execute(async trx => {
        const used = await trx.deleteFrom('password_resets').where('token_hash', '=', tokenHash).where(
          'expires_at', '>', Date.now()
        ).returning('user_id').executeTakeFirst()
        if (used === undefined) throw invalid()
        await rememberNetwork(trx, open.id, address)
        return await setPassword(trx, sessions, open.id, passwordHash, by)
      })
      announce()
      notify(open.email, 'passwordChanged')
    },

    /** Waits for what is under way, so that its database is still there. */
    async close (): Promise<void> {
      await Promise.all(underWay)
    }
  }
}

const invalid = () => new ForbiddenError('RESET_INVALID', 'The reset is unknown, used or expired; ask for another')
