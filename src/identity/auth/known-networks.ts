import { hash } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { loginNetworkOf } from './network.ts'

/** A network is known for this long after the last login from it. */
const knownMs = 90 * 24 * 3_600_000
/** `seen_at` moves on at most this often. */
const resolutionMs = 24 * 3_600_000
/** Networks of one user; the one that was not seen for longest makes room. */
const networksMax = 20

/** Remembers that a user was let in from an address. Only a hash of its network is stored. */
export async function rememberNetwork (
  trx: Kysely<Database>, userId: string, address: string | undefined
): Promise<void> {
  if (address === undefined) return
  const now = Date.now()
  const stored = await trx.insertInto('known_networks').values({
    user_id: userId, network_hash: hashOf(userId, address), seen_at: now
  })
    .onConflict(conflict =>
      conflict.columns(['user_id', 'network_hash']).doUpdateSet({ seen_at: now }).where(
        'known_networks.seen_at', '<', now - resolutionMs
      )
    )
    .returning('seen_at').executeTakeFirst()
  if (stored === undefined) return
  await sql`
    delete from known_networks where user_id = ${userId} and network_hash in (
      select network_hash from known_networks where user_id = ${userId} order by seen_at desc offset ${networksMax} for update skip locked)`
    .execute(trx)
}

/** Whether the user was let in from the address's network not too long ago. */
export async function isKnownNetwork (
  db: Kysely<Database>, userId: string, address: string | undefined
): Promise<boolean> {
  if (address === undefined) return false
  const row = await db.selectFrom('known_networks').select('seen_at')
    .where('user_id', '=', userId).where('network_hash', '=', hashOf(userId, address)).where(
      'seen_at', '>', Date.now() - knownMs
    ).executeTakeFirst()
  return row !== undefined
}

const hashOf = (userId: string, address: string): Buffer =>
  hash('sha256', `${userId}\0${loginNetworkOf(address)}`, 'buffer').subarray(0, 16)
