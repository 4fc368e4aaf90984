import { hash } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { loginNetworkOf } from './network.ts'

/** How long a network stays known after the last login from it. */
const knownMs = 90 * 24 * 3_600_000
/** `seen_at` is updated at most this often. */
const resolutionMs = 24 * 3_600_000
/** Networks of one user. Beyond it, the one with the oldest login is deleted. */
const networksMax = 20

/** Records that a user logged in from an address. Stores only a hash of its network. */
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
      select network_hash from known_networks where user_id = ${userId}
      order by seen_at desc offset ${networksMax} for update skip locked)`
    .execute(trx)
}

/** Returns whether the user has logged in from the network of the address within the last 90 days. */
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
