import type { Insertable, Kysely } from 'kysely'
import { afterCommit } from '../../../db/after-commit.ts'
import type { AuditLogTable, Database } from '../../../db/tables.ts'
import { randomId } from '../../foundation/ids.ts'
import { plainText } from '../../foundation/plain-text.ts'
import { mask } from './mask.ts'
import type { Origin } from './origin.ts'

/** One change of a setting. */
export interface Change {
  /** The resource and the past participle of what happened: `topic.created`. */
  action: `${string}.${string}`
  resourceId?: string | undefined
  /** A scope, or an application as a whole. Undefined for changes of the platform. */
  place?: { readonly applicationId: string | null, readonly environment?: string } | undefined
  /** The states in the form of the API. Secrets are masked. */
  before?: object | undefined
  after?: object | undefined
  /** Further fields of a security event, for its log line and, merged with `after`, for the audit log. */
  details?: Readonly<Record<string, string | number | boolean | null>> | undefined
}

/** Rows that one statement inserts. */
const rowsAtOnce = 500
/** Changes that are also logged: logins, and changes of users, roles, invites, tokens, keys and API keys. */
const isSecurityEvent = ({ action }: Change): boolean => /^(?:token|user|role|invite|key|api_key)\./.test(action)
const logTextLengthMax = 300

/**
 * Records a change in the audit log, in the transaction of the change. So no change is without an entry, and a rolled
 * back change has none.
 */
export async function record (trx: Kysely<Database>, by: Origin, change: Change): Promise<void> {
  await recordAll(trx, by, [change])
}

/** Records several changes by one author. Security events are also logged, after the commit. */
export async function recordAll (trx: Kysely<Database>, by: Origin, changes: readonly Change[]): Promise<void> {
  const rows = changes.map(change => toRow(by, change))
  for (let i = 0; i < rows.length; i += rowsAtOnce) {
    await trx.insertInto('audit_log').values(rows.slice(i, i + rowsAtOnce)).execute()
  }
  const { log } = by
  const security = changes.filter(isSecurityEvent)
  if (log === undefined || security.length === 0) return
  await afterCommit(trx, () => {
    for (const change of security) log.info(toLine(by, change), change.action)
  })
}

/** Logs an event that is too frequent for the audit log, in the same form. */
export function logOnly (by: Origin, change: Change): void {
  by.log?.info(toLine(by, change), change.action)
}

/** Fields of the states that a log line contains. The audit log has the rest. */
const loggedMembers = ['email', 'role', 'algorithm', 'subject'] as const

function toLine (by: Origin, { resourceId, place, before, after, details }: Change): object {
  const state = (after ?? before ?? {}) as Record<string, unknown>
  const line = {
    actor: by.id,
    actorName: by.name,
    resourceId,
    // Not `name`, which pino-pretty shows as the name of the logger.
    resourceName: typeof state['name'] === 'string' ? state['name'] : undefined,
    ...Object.fromEntries(loggedMembers.map(name => [name, typeof state[name] === 'string' ? state[name] : undefined])),
    applicationId: place?.applicationId,
    environment: place?.environment,
    ...details,
    address: by.address,
    userAgent: by.userAgent
  }
  return Object.fromEntries(
    Object.entries(line).flatMap(([name, value]) =>
      value === undefined || value === null
        ? []
        : [[name, typeof value === 'string' ? plainText(value, logTextLengthMax) : value]]
    )
  )
}

const toRow = (
  by: Origin, { action, resourceId, place, before, after, details }: Change
): Insertable<AuditLogTable> => ({
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
  user_agent: by.userAgent,
  request_id: by.requestId,
  before: before === undefined ? null : JSON.stringify(mask(before as Record<string, unknown>)),
  after: after === undefined && details === undefined ? null : JSON.stringify(mask({ ...after, ...details }))
})
