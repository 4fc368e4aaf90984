import { LRUCache } from 'lru-cache'
import type { Kysely } from 'kysely'
import type { Database, WebhookReader } from '../../db/tables.ts'
import type { Environment } from '../../schemas/scope.ts'
import { parsePermissions, PermissionSet } from '../identity/access/permission-set.ts'
import type { Principal } from '../identity/access/principal.ts'
import { coversEvent, type EventFact } from '../identity/access/reading.ts'
import { grantsOf } from '../identity/auth/sessions.ts'

/**
 * Whose right to read a webhook has: who created it or changed it last. A user's rights are those of the moment; a
 * token's are those that it carried, until its signing key is revoked.
 */
export const readerOf = (principal: Principal): WebhookReader => principal.kind === 'session'
  ? { userId: principal.userId }
  : { keyId: principal.keyId, permissions: [...principal.permissions], environment: principal.environment ?? null }

/** What a delivery would show. */
export interface Shown extends EventFact { readonly applicationId: string, readonly environment: Environment }

/** Rights that are taken away end deliveries within this time. */
const rememberedMs = 1000
const rememberedMax = 5000

export type Readers = ReturnType<typeof createReaders>

/** Looks again, before each delivery, whether the webhook's reader may read the event. */
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
    /** Rejects while the database is away. */
    async mayRead (reader: WebhookReader | null, { applicationId, environment, ...event }: Shown): Promise<boolean> {
      if (reader === null) return true
      if ('keyId' in reader && reader.environment !== null && reader.environment !== environment) return false
      return coversEvent(await remembered(reader, applicationId), event)
    }
  }
}
