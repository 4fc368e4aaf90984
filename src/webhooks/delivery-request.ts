import { sql, type Kysely, type Selectable } from 'kysely'
import type { Database, SealedSecret, WebhookAttemptsTable, WebhookDeliveriesTable } from '../../db/tables.ts'
import type { EventType } from '../../schemas/events.ts'
import type { WebhookDeliveryDetails } from '../../schemas/webhooks.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import type { Claimed } from './dispatch/claim.ts'
import { deliveryId } from './dispatch/endpoint-worker.ts'
import { fixedHeaders } from './http/sender.ts'
import { bodyOf, signatureHeaders } from './request-body.ts'
import { openKeys, signedAt } from './secrets.ts'

type Attempt = Pick<Selectable<WebhookAttemptsTable>, 'sent_at' | 'url'>
type StoredEvent = Pick<Claimed, 'epoch' | 'source' | 'payload' | 'meta' | 'schema_version'>

/** Returns the request of a delivery as its last attempt sent it. `attempts` are all of them, newest first. */
export async function readRequest (
  db: Kysely<Database>, encryption: Encryption, delivery: Selectable<WebhookDeliveriesTable>,
  attempts: readonly Attempt[]
): Promise<WebhookDeliveryDetails['request']> {
  const webhook = await db.selectFrom('webhooks').select(['id', 'url', 'secrets']).where('id', '=', delivery.webhook_id)
    .executeTakeFirstOrThrow()
  const event = await readEvent(db, delivery)
  const body = event === undefined
    ? undefined
    : bodyOf({ ...delivery, ...event, event_type: delivery.event_type as EventType })
  const id = deliveryId(delivery.id)
  const sentAt = attempts.find(({ sent_at: at }) => at !== null)?.sent_at ?? null
  return {
    url: attempts[0]?.url ?? webhook.url,
    headers: {
      ...fixedHeaders,
      'webhook-id': id,
      ...(sentAt !== null && { 'webhook-timestamp': String(Math.floor(sentAt / 1000)) }),
      ...(sentAt !== null && body !== undefined && signatureAt(encryption, webhook, id, sentAt, body))
    },
    body: body ?? null
  }
}

/** Returns the headers of the signature that an attempt had, if the secrets that made it can still be read. */
function signatureAt (
  encryption: Encryption, { id: webhookId, secrets }: { id: string, secrets: SealedSecret[] }, id: string,
  sentAt: number, body: string
): Record<string, string> | undefined {
  const used = signedAt(secrets, sentAt)
  if (used.length === 0) return undefined
  try {
    return signatureHeaders(id, Math.floor(sentAt / 1000), body, openKeys(encryption, webhookId, used, sentAt))
  } catch {
    return undefined
  }
}

/** Reads the event of a delivery from the log, or from the events that are kept for pending and dead deliveries. */
async function readEvent (
  db: Kysely<Database>, { log_id: logId, offset, event_at: at }: Selectable<WebhookDeliveriesTable>
): Promise<StoredEvent | undefined> {
  const { rows: [found] } = await sql<StoredEvent>`
    select source, payload, meta, schema_version, (select epoch from topic_logs where id = ${logId}) as epoch
    from logged_events where log_id = ${logId} and "offset" = ${offset} and created_at = ${at}
    union all
    select source, payload, meta, schema_version, epoch from webhook_events
    where log_id = ${logId} and "offset" = ${offset} limit 1`.execute(db)
  return found
}
