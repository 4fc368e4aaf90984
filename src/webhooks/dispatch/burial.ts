import type pg from 'pg'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import { interruptedText } from './claim.ts'

/**
 * Gives up a limited number of a webhook's deliveries that were due by a time, while the webhook still has the failing
 * URL or is still deactivated by the platform. First logs an attempt whose lease expired.
 */
const burySql = `
  with still as (
    select from webhooks where id = $1 and
      case when $5::text is null then not active and deactivated_reason is not null else active and url = $5 end),
  picked as (
    select * from (select ctid as place, seq, leased_by from webhook_deliveries
      where exists (select from still) and webhook_id = $1 and state = 'pending' and lane is null
        and next_at <= $2 and lease_until <= $3 limit 2000 for update skip locked) free
    union all
    select * from (select ctid, seq, leased_by from webhook_deliveries
      where exists (select from still) and webhook_id = $1 and state = 'pending' and lane is not null
        and next_at <= $2 and lease_until <= $3 limit 2000 for update skip locked) laned),
  buried as (
    update webhook_deliveries set state = 'dead', settled_at = $3, leased_by = null, lease_until = 0,
      fence = fence + 1, error = $4::text
    where ctid = any(array(select place from picked)) and state = 'pending'
    returning seq, id, application_id, environment, webhook_id, event_id, event_at, event_type, attempts),
  logged as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, error, attempted_at)
    select b.application_id, b.environment, b.webhook_id, b.id, b.event_type, w.url, b.attempts, false, e.error, $3
    from buried b join picked p using (seq)
    cross join lateral (select url from webhooks where id = b.webhook_id) w
    cross join lateral (select '${interruptedText}' as error where p.leased_by is not null union all select $4::text) e)
  select application_id, environment, event_id, event_at from buried`

/**
 * The deliveries of a webhook to give up: those due by a time, with the reason. `url` is the failing URL; null when the
 * webhook was deactivated.
 */
export interface Burial { dueBy: number, url: string | null, reason: string }

/** The event of a delivery. */
export interface DeliveredEvent { scope: Scope, id: string, timestamp: number }

/**
 * Gives up some of the webhook's deliveries that were due by `dueBy` and are not being sent. Returns their events; none
 * when no such delivery is left.
 */
export async function bury (
  pool: pg.Pool, webhookId: string, { dueBy, url, reason }: Burial, now: number
): Promise<DeliveredEvent[]> {
  const { rows } = await pool.query<
    { application_id: string, environment: Environment, event_id: string, event_at: number }
  >({
    name: 'webhooks_bury',
    text: burySql,
    values: [webhookId, dueBy, now, reason, url]
  })
  return rows.map(row => ({
    scope: { applicationId: row.application_id, environment: row.environment }, id: row.event_id,
    timestamp: row.event_at
  }))
}
