import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { newOneTimeToken, oneTimeHash } from '../auth/one-time-tokens.ts'
import { holdUser } from '../auth/users.ts'
import { signInMs } from './started-sign-ins.ts'

/** Time for the console to exchange the code. */
const codeMs = 60_000

export type SignInCodes = ReturnType<typeof createSignInCodes>

/**
 * One-time codes that open a session, each stored as a hash and bound to the browser that started the sign-in, by its
 * state. Any node can redeem them. Times are compared by the clock that all nodes share.
 */
export function createSignInCodes ({ db, now }: { db: Kysely<Database>, now: () => number }) {
  return {
    /**
     * Returns false if the state was used before. Each callback works once, also if it is sent twice at the same time.
     */
    async useState (state: string): Promise<boolean> {
      await db.deleteFrom('oidc_sign_ins').where('expires_at', '<=', now()).execute()
      const used = await db.insertInto('oidc_sign_ins').values({
        state_hash: oneTimeHash(state), code_hash: null, user_id: null, code_expires_at: null,
        // A cookie with the state is valid for longer if the clock of its node is ahead.
        expires_at: now() + 2 * signInMs
      }).onConflict(conflict => conflict.doNothing()).returning('state_hash').executeTakeFirst()
      return used !== undefined
    },

    /** Creates a code for a user. */
    async create (trx: Kysely<Database>, state: string, userId: string): Promise<string> {
      const { token, tokenHash } = newOneTimeToken('oidc_')
      await trx.updateTable('oidc_sign_ins').set({
        code_hash: tokenHash, user_id: userId, code_expires_at: now() + codeMs
      }).where('state_hash', '=', oneTimeHash(state)).execute()
      return token
    },

    /** Returns the user of a code and the state that it belongs to, once. Undefined unless it is one of the states. */
    async redeem (
      trx: Kysely<Database>, code: string, states: readonly string[]
    ): Promise<{ userId: string, state: string } | undefined> {
      for (const state of states) {
        const named = trx.selectFrom('oidc_sign_ins').select('user_id').where('state_hash', '=', oneTimeHash(state))
          .where('code_hash', '=', oneTimeHash(code)).where('code_expires_at', '>', now())
        const userId = (await named.executeTakeFirst())?.user_id ?? undefined
        // Locks the user first, as their deletion does.
        if (userId === undefined || await holdUser(trx, userId) === undefined) continue
        const used = await trx.updateTable('oidc_sign_ins').set({ code_hash: null, user_id: null })
          .where('code_hash', '=', oneTimeHash(code)).returning('state_hash').executeTakeFirst()
        if (used !== undefined) return { userId, state }
      }
      return undefined
    }
  }
}
