import type pg from 'pg'
import { textArray } from '../../../db/arrays.ts'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import { interruptedText } from './claim.ts'
import { lockLanesSql } from './lanes.ts'

/** Deliveries of a webhook, with and without a lane, that one statement gives up. */
const togetherMax = 2000

/**
 * Gives up a limited number of deliveries of the webhooks that the platform deactivated, and of those whose endpoints
 * have been down since `$3` or longer: there, the ones that have been due for as long. Skips deliveries that are being
 * sent. First logs an attempt whose lease expired.
 */
const giveUpSql = `
  with failing as (
    select id, url, case when active then $3::bigint else ${Number.MAX_SAFE_INTEGER} end as due_by,
      'Given up: ' || case
        when active then 'every request to the endpoint has failed for as long as the retry schedule lasts'
        when deactivated_reason = 'gone' then 'the endpoint responded with 410 Gone'
        else 'every request to the endpoint has failed for days' end as reason
    from webhooks where id = any($1::text[])
      and case when active then failing_since is not null and down_since <= $3 else deactivated_reason is not null end),
  picked as (
    select p.*, f.url, f.reason from failing f cross join lateral (
      select * from (select seq, leased_by from webhook_deliveries
        where webhook_id = f.id and state = 'pending' and lane is null
          and next_at <= f.due_by and lease_until <= $2 limit ${togetherMax} for update skip locked) free
      union all
      select * from (select seq, leased_by from webhook_deliveries
        where webhook_id = f.id and state = 'pending' and lane is not null
          and next_at <= f.due_by and lease_until <= $2 limit ${togetherMax} for update skip locked) laned) p),
  given_up as (
    update webhook_deliveries d set state = 'dead', settled_at = $2, leased_by = null, lease_until = 0,
      fence = fence + 1, error = p.reason
    from picked p where d.seq = any(array(select seq from picked)) and d.seq = p.seq and d.state = 'pending'
    returning d.seq, d.id, d.application_id, d.environment, d.webhook_id, d.event_id, d.event_at, d.event_type,
      d.attempts, d.lane, p.url, p.reason, p.leased_by is not null as was_leased),
  locked as (${lockLanesSql('(select distinct webhook_id, lane from given_up) one')}),
  freed as (
    update webhook_lanes set next_at = least(next_at, $2), version = version + 1
    where id = any(array(select id from locked))),
  logged as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, error, attempted_at)
    select application_id, environment, webhook_id, id, event_type, url, attempts, false, e.error, $2
    from given_up g
    cross join lateral (select '${interruptedText}' as error where g.was_leased union all select g.reason) e)
  select webhook_id, reason, application_id, environment, event_id, event_at from given_up`

interface Row {
  webhook_id: string
  reason: string
  application_id: string
  environment: Environment
  event_id: string
  event_at: number
}

/** The event of a delivery. */
export interface DeliveredEvent { scope: Scope, id: string, timestamp: number }

/** Deliveries of one webhook that were given up. */
export interface GivenUp { webhookId: string, reason: string, events: DeliveredEvent[] }

/**
 * Gives up some of the deliveries of those webhooks that are deactivated or whose endpoints have been down since
 * `downSince` or longer. Returns none when nothing is left to give up.
 */
export async function giveUp (
  pool: pg.Pool, webhookIds: readonly string[], { downSince, now }: { downSince: number, now: number }
): Promise<GivenUp[]> {
  if (webhookIds.length === 0) return []
  const { rows } = await pool.query<Row>({
    name: 'webhooks_give_up', text: giveUpSql, values: [textArray(webhookIds), now, downSince]
  })
  const byWebhook = new Map<string, GivenUp>()
  for (const { webhook_id: webhookId, reason, ...row } of rows) {
    const givenUp = byWebhook.get(webhookId) ?? { webhookId, reason, events: [] }
    byWebhook.set(webhookId, givenUp)
    givenUp.events.push({
      scope: { applicationId: row.application_id, environment: row.environment }, id: row.event_id,
      timestamp: row.event_at
    })
  }
  return [...byWebhook.values()]
}
