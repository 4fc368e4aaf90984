import type { Kysely, Selectable } from 'kysely'
import type { Database, WebhooksTable } from '../../db/tables.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { Webhook } from '../../schemas/webhooks.ts'
import { NotFoundError } from '../errors.ts'
import type { Principal } from '../identity/access/principal.ts'

/** The environment of a pinned token: it sees only webhooks that listen to this environment alone. */
export type Within = Environment | undefined

/** Returns the environment that a principal's webhooks are limited to, if any. */
export const withinOf = (principal: Principal): Within => principal.kind === 'token' ? principal.environment : undefined

/** The columns that a change of a webhook may set. */
export interface EndpointValues {
  url: string
  description: string | null
  events: string[]
  topics: string[] | null
  filter: string | null
  environments: Environment[] | null
  ordering: string
  rate_limit: number | null
  active: boolean
  deactivated_reason: string | null
  failing_since: number | null
  secrets: string
  reader: string | null
}

/** Returns the webhook of the application. Throws NotFoundError `WEBHOOK_NOT_FOUND`. */
export async function getEndpointRow (
  db: Kysely<Database>, scope: Scope, id: string, within: Within
): Promise<Selectable<WebhooksTable>> {
  const row = await db.selectFrom('webhooks').selectAll().where('id', '=', id).where(
    'application_id', '=', scope.applicationId
  ).executeTakeFirst()
  if (row === undefined || !isVisible(row, within)) throw webhookNotFound(id)
  return row
}

const isVisible = ({ environments }: Pick<WebhooksTable, 'environments'>, within: Within) =>
  within === undefined || (environments?.length === 1 && environments[0] === within)

export const webhookNotFound = (id: string) => new NotFoundError('WEBHOOK_NOT_FOUND', `Webhook not found: ${id}`)

/** Returns a webhook as the API shows it. */
export function toWebhook (row: Selectable<WebhooksTable>): Webhook {
  return {
    id: row.id,
    url: row.url,
    events: row.events,
    topics: row.topics,
    filter: row.filter === null ? null : JSON.parse(row.filter) as Record<string, unknown>,
    environments: row.environments,
    ordering: row.ordering as Webhook['ordering'],
    rateLimit: row.rate_limit,
    description: row.description,
    active: row.active,
    deactivatedReason: row.deactivated_reason as Webhook['deactivatedReason'],
    failingSince: row.failing_since,
    applicationId: row.application_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at
  }
}
