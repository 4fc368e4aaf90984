import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Webhook } from '../../schemas/webhooks.ts'
import { masked } from '../identity/audit/mask.ts'
import type { ListeningRow } from '../delivery/matching/endpoint-index.ts'

/** Changes of one webhook that are looked at. */
const changesMax = 1000

/** What decides whether events are owed to a webhook. */
export interface WebhookState extends ListeningRow {
  active: boolean
  deactivated_reason: string | null
}

interface Change { action: string, before: Partial<Webhook> | null }

/**
 * How a webhook was at a time, by what the audit log has of its changes since. Undefined when that does not tell: what is kept there is
 * bounded, and masked where it might be a secret.
 */
export async function webhookAt (db: Kysely<Database>, now: WebhookState, at: number): Promise<WebhookState | undefined> {
  const { rows } = await sql<Change>`
    select action, before from audit_log where resource = 'webhook' and resource_id = ${now.id} and at > ${at} order by sequence limit ${changesMax}`.execute(db)
  if (rows.length >= changesMax) return undefined
  const active = activeBefore(rows) ?? now.active
  const deactivated = { active, deactivated_reason: active ? null : rows.find(({ before }) => before?.active !== undefined)?.before?.deactivatedReason ?? now.deactivated_reason }
  // The platform's own entries say only that a webhook was switched off.
  const before = rows.find(change => change.before !== null)?.before
  if (before === undefined || before === null) return { ...now, ...deactivated }
  const { events, topics, filter, environments } = before
  if (events === undefined || topics === undefined || filter === undefined || environments === undefined) return undefined
  const filterText = filter === null ? null : JSON.stringify(filter)
  if (filterText?.includes(masked) === true) return undefined
  return { id: now.id, events, topics, filter: filterText, environments, ...deactivated }
}

function activeBefore (changes: readonly Change[]): boolean | undefined {
  for (const { action, before } of changes) {
    if (before?.active !== undefined) return before.active
    if (action === 'webhook.deactivated') return true
  }
  return undefined
}
