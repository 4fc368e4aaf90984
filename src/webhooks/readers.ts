import { LRUCache } from 'lru-cache'
import type { Kysely } from 'kysely'
import type { Database, WebhookReader } from '../../db/tables.ts'
import type { Environment } from '../../schemas/scope.ts'
import { parsePermissions, PermissionSet } from '../identity/access/permission-set.ts'
import { isApiKey, type Principal } from '../identity/access/principal.ts'
import { coversEvent, type EventFact } from '../identity/access/reading.ts'
import { findApiKey } from '../identity/auth/api-keys.ts'
import { grantsOf } from '../identity/auth/sessions.ts'

/**
 * Returns the reader of a webhook: the principal whose permissions its deliveries need, that is its creator or the last
 * one to change what goes where. The permissions of a user or an API key are read at delivery; a token's are those it
 * carried, until its signing key is revoked.
 */
export function readerOf (principal: Principal): WebhookReader {
  if (principal.kind === 'session') return { userId: principal.userId }
  if (isApiKey(principal)) return { apiKeyId: principal.apiKeyId }
  const { keyId, permissions, environment = null } = principal
  return { keyId, permissions: [...permissions], environment }
}

/** The event of a delivery, as far as permissions depend on it. */
export interface Shown extends EventFact { readonly applicationId: string, readonly environment: Environment }

/** A revoked permission stops deliveries within this time. */
const rememberedMs = 1000
const rememberedMax = 5000

interface Held {
  readonly set: PermissionSet
  /** The environment of a pinned token or key. */
  readonly environment: Environment | null
}

const nothing: Held = { set: PermissionSet.none, environment: null }

export type Readers = ReturnType<typeof createReaders>

/** Checks before each delivery whether the webhook's reader may still read the event. */
export function createReaders ({ db }: { db: Kysely<Database> }) {
  const held = new LRUCache<string, Promise<Held>>({ max: rememberedMax, ttl: rememberedMs })

  async function read (reader: WebhookReader, applicationId: string): Promise<Held> {
    if ('userId' in reader) {
      const grants = await grantsOf(db, reader.userId)
      return grants === undefined
        ? nothing
        : { set: grants.byApplication.get(applicationId) ?? grants.everywhere, environment: null }
    }
    if ('apiKeyId' in reader) {
      const principal = await findApiKey(db, reader.apiKeyId)
      return principal === undefined ? nothing : { set: principal.held, environment: principal.environment ?? null }
    }
    const key = await db.selectFrom('signing_keys').select('id').where('id', '=', reader.keyId).where(
      'revoked_at', 'is', null
    ).executeTakeFirst()
    return key === undefined
      ? nothing
      : { set: parsePermissions(reader.permissions), environment: reader.environment }
  }

  function remembered (reader: WebhookReader, applicationId: string): Promise<Held> {
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
      const held = await remembered(reader, applicationId)
      return (held.environment === null || held.environment === environment) && coversEvent(held.set, event)
    }
  }
}
