import type pg from 'pg'
import { jsonArray, textArray } from '../../db/arrays.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { EndpointIndex, type ListeningRow } from '../delivery/matching/endpoint-index.ts'

/** Copies each event into `webhook_events` at once, because the log may be about to drop it. */
const enqueueSql = `
  with wanted as (
    select * from unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[],
      $12::text[], $13::json[], $14::json[], $15::int[], $16::bigint[])
      as e(webhook_id, id, topic, "offset", epoch, type, source, key, payload, meta, schema_version, created_at)),
  found as (
    select w.*, (
      select id from topic_logs where application_id = $1 and environment = $2 and topic = w.topic) as log_id
    from wanted w),
  kept as (
    insert into webhook_events (log_id, "offset", application_id, environment, topic, epoch, id, type, source, key,
      payload, meta, schema_version, created_at)
    select log_id, "offset", $1, $2, topic, epoch, id, type, source, key, payload, meta, schema_version, created_at
    from found where log_id is not null
    on conflict do nothing)
  insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic, log_id,
    "offset", event_at, key, lane, replay_of, next_at, created_at)
  select $1, $2, f.webhook_id, f.id, f.type, f.topic, f.log_id, f."offset", f.created_at, f.key,
    case when h.ordering = 'key' then f.key end, $3, $4, $4
  from found f cross join lateral (select ordering from webhooks where id = f.webhook_id and active for key share) h
  where f.log_id is not null`

export interface ReplayOptions {
  pool: pg.Pool
  /** The clock that all nodes share. */
  now: () => number
  /** Wakes the dispatcher, because deliveries became due. */
  wake (): void
}

/** Creates deliveries for stored events again. */
export function createReplay ({ pool, now, wake }: ReplayOptions) {
  async function activeRows ({ applicationId }: Scope): Promise<ListeningRow[]> {
    const { rows } = await pool.query<ListeningRow>(
      'select id, events, topics, filter, environments from webhooks where application_id = $1 and active',
      [applicationId]
    )
    return rows
  }

  return {
    /**
     * Creates a delivery for each active webhook that matches an event, or for the named webhook alone, whether it
     * matches or not. Each delivery has `meta.replayOf`. Returns the number of deliveries. One call creates all of them
     * or none. With a `client`, it runs in that client's transaction, and the caller wakes the dispatcher.
     */
    async enqueue (
      scope: Scope, events: readonly LoggedEvent[],
      { replayId, webhookId }: { replayId: string, webhookId?: string | undefined },
      client: Pick<pg.ClientBase, 'query'> = pool
    ): Promise<number> {
      const rows = await activeRows(scope)
      const match = new EndpointIndex(rows)
      const owed: { webhookId: string, event: LoggedEvent }[] = []
      for (const event of events) {
        if (webhookId === undefined) match.match(scope, event, id => owed.push({ webhookId: id, event }))
        else if (rows.some(({ id }) => id === webhookId)) owed.push({ webhookId, event })
      }
      if (owed.length === 0) return 0
      const texts = (of: (event: LoggedEvent) => string | null) => textArray(owed.map(({ event }) => of(event)))
      const { rowCount } = await client.query({
        name: 'webhooks_replay',
        text: enqueueSql,
        values: [
          scope.applicationId,
          scope.environment,
          replayId,
          now(),
          textArray(owed.map(one => one.webhookId)),
          texts(event => event.id),
          texts(event => event.topic),
          owed.map(({ event }) => event.offset),
          texts(event => event.epoch),
          texts(event => event.type),
          texts(event => event.source),
          texts(event => event.key),
          jsonArray(owed.map(({ event }) => event.payload)),
          jsonArray(owed.map(({ event }) => event.meta)),
          owed.map(({ event }) => event.schemaVersion),
          owed.map(({ event }) => event.timestamp)
        ]
      })
      if (client === pool) wake()
      return rowCount ?? 0
    }
  }
}
export type Replay = ReturnType<typeof createReplay>
