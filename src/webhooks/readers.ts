import { LRUCache } from 'lru-cache'
import type { Kysely } from 'kysely'
import type { Database, WebhookReader } from '../../db/tables.ts'
import type { Environment } from '../../schemas/scope.ts'
import { parsePermissions, PermissionSet } from '../identity/access/permission-set.ts'
import type { Principal } from '../identity/access/principal.ts'
import { coversEvent, type EventFact } from '../identity/access/reading.ts'
import { grantsOf } from '../identity/auth/sessions.ts'

/**
 * Returns the reader of a webhook: the principal whose permissions its deliveries need, that is its creator or the last
 * one to change it. A user's permissions are read at delivery; a token's are those it carried, until its signing key is
 * revoked.
 */
export const readerOf = (principal: Principal): WebhookReader => principal.kind === 'session'
  ? { userId: principal.userId }
  : { keyId: principal.keyId, permissions: [...principal.permissions], environment: principal.environment ?? null }

/** The event of a delivery, as far as permissions depend on it. */
export interface Shown extends EventFact { readonly applicationId: string, readonly environment: Environment }

/** A revoked permission stops deliveries within this time. */
const rememberedMs = 1000
const rememberedMax = 5000

export type Readers = ReturnType<typeof createReaders>

/** Checks before each delivery whether the webhook's reader may still read the event. */
export function createReaders ({ db }: { db: Kysely<Database> }) {
  const held = new LRUCache<string, Promise<PermissionSet>>({ max: rememberedMax, ttl: rememberedMs })

  async function read (reader: WebhookReader, applicationId: string): Promise<PermissionSet> {
    if ('userId' in reader) {
      const grants = await grantsOf(db, reader.userId)
      return grants?.byApplication.get(applicationId) ?? grants?.everywhere ?? PermissionSet.none
    }
    const key = await db.selectFrom('signing_keys').select('id').where('id', '=', reader.keyId).where(
      'revoked_at', 'is', null
    ).executeTakeFirst()
    return key === undefined ? PermissionSet.none : parsePermissions(reader.permissions)
  }

  function remembered (reader: WebhookReader, applicationId: string): Promise<PermissionSet> {
    const name = JSON.stringify([reader, applicationId])
    const known = held.get(name)
    if (known !== undefined) return known
    const reading = read(reader, applicationId)
    held.set(name, reading)
    reading.catch(() => { held.delete(name) })
    return reading
  }

  return {
    /** Rejects while the database is unavailable. */
    async mayRead (reader: WebhookReader | null, { applicationId, environment, ...event }: Shown): Promise<boolean> {
      if (reader === null) return true
      if ('keyId' in reader && reader.environment !== null && reader.environment !== environment) return false
      return coversEvent(await remembered(reader, applicationId), event)
    }
  }
}
