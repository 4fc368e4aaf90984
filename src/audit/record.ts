import type { Insertable, Kysely } from 'kysely'
import type { AuditLogTable, Database } from '../../db/tables.ts'
import { randomId } from '../ids.ts'
import { mask } from './mask.ts'
import type { Origin } from './origin.ts'

/** One change of a setting. */
export interface Change {
  /** What was done to what, in the past: `topic.created`. */
  action: `${string}.${string}`
  resourceId?: string | undefined
  /** A scope, or an application as a whole; without one, the platform. */
  place?: { readonly applicationId: string | null, readonly environment?: string } | undefined
  /** As they go out over the wire; secrets are masked all the same. */
  before?: object | undefined
  after?: object | undefined
}

/** Rows of one statement. */
const rowsAtOnce = 500

/**
 * Writes down a change, in the transaction that makes it: `trx`. So there is no change without its entry, and no entry
 * of what was rolled back.
 */
export async function record (trx: Kysely<Database>, by: Origin, change: Change): Promise<void> {
  await recordAll(trx, by, [change])
}

/** The same, for several changes that one has made. */
export async function recordAll (trx: Kysely<Database>, by: Origin, changes: readonly Change[]): Promise<void> {
  const rows = changes.map(change => toRow(by, change))
  for (let i = 0; i < rows.length; i += rowsAtOnce) await trx.insertInto('audit_log').values(rows.slice(i, i + rowsAtOnce)).execute()
}

const toRow = (by: Origin, { action, resourceId, place, before, after }: Change): Insertable<AuditLogTable> => ({
  id: randomId('aud'),
  at: Date.now(),
  actor_kind: by.kind,
  actor_id: by.id,
  actor_name: by.name,
  action,
  resource: action.slice(0, action.indexOf('.')),
  resource_id: resourceId ?? null,
  application_id: place?.applicationId ?? null,
  environment: place?.environment ?? null,
  address: by.address,
  request_id: by.requestId,
  before: before === undefined ? null : JSON.stringify(mask(before as Record<string, unknown>)),
  after: after === undefined ? null : JSON.stringify(mask(after as Record<string, unknown>))
})
