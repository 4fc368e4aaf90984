import type pg from 'pg'
import type { SealedSecret, WebhookReader } from '../../../db/tables.ts'

/** Webhooks per page. */
const pageMax = 500

/**
 * Finds webhooks with pending deliveries, from one ID on, by skipping through the indexes: the cost grows with the
 * number of webhooks, not of deliveries.
 */
const busySql = `
  with recursive due as (
    (select webhook_id, next_at from webhook_deliveries where state = 'pending' and lane is null
      and webhook_id > $1 order by webhook_id, next_at limit 1)
    union all
    select n.webhook_id, n.next_at from due d cross join lateral (
      select webhook_id, next_at from webhook_deliveries where state = 'pending' and lane is null
        and webhook_id > d.webhook_id order by webhook_id, next_at limit 1) n),
  laned as (
    (select webhook_id, next_at from webhook_lanes where webhook_id > $1 order by webhook_id, next_at limit 1)
    union all
    select n.webhook_id, n.next_at from laned l cross join lateral (
      select webhook_id, next_at from webhook_lanes where webhook_id > l.webhook_id
        order by webhook_id, next_at limit 1) n)
  select b.webhook_id as id, w.application_id, w.url, w.secrets, w.rate_limit, w.failing_since, w.failed_at,
    coalesce(w.active, false) as active, w.reader, b.next_at,
    coalesce(case when w.active then w.down_since is not null else w.deactivated_reason is not null end, false)
      as is_failing
  from (
    select webhook_id, min(next_at) as next_at from (
      (select webhook_id, next_at from due limit ${pageMax})
        union all (select webhook_id, next_at from laned limit ${pageMax})) one
    group by webhook_id order by webhook_id limit ${pageMax}) b
  left join webhooks w on w.id = b.webhook_id`

/** The current settings of a webhook with pending deliveries. */
export interface BusyEndpoint {
  id: string
  application_id: string
  url: string
  secrets: SealedSecret[]
  rate_limit: number | null
  failing_since: number | null
  failed_at: number | null
  /** False when the webhook is inactive or deleted. */
  active: boolean
  /** Whether deliveries may have to be given up: the endpoint is down, or the platform deactivated the webhook. */
  is_failing: boolean
  /** The principal whose permissions the deliveries need. */
  reader: WebhookReader | null
  /** When the first delivery is due. */
  next_at: number
}

/** Reads the webhooks with pending deliveries, of all tenants, page by page. */
export async function * readBusyEndpoints (pool: pg.Pool): AsyncGenerator<BusyEndpoint[]> {
  for (let after = '', isMore = true; isMore;) {
    const { rows } = await pool.query<BusyEndpoint>({ name: 'webhooks_busy', text: busySql, values: [after] })
    isMore = rows.length >= pageMax
    after = rows.reduce((last, { id }) => id > last ? id : last, after)
    yield rows
  }
}
