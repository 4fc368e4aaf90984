import type { AlertRuleName } from '../../schemas/alerts.ts'
import { deadCountedMax } from './rules.ts'

/*
 * The measure of each rule, for all scopes with one query. It returns `(application_id, environment, target,
 * value, facts)`, one row for each target that may meet the condition. Its parameters are those of evaluation.ts: $3 is
 * the current time, $4 the start of the window of failures, $5 that of dead deliveries, and $6 the readings of quotas.
 */

/** A webhook belongs to each environment that it listens to. */
const environmentsOf = "unnest(coalesce(w.environments, '{development,staging,production}'::text[]))"

/** Counts of one signal, which nodes have stored (counters.ts). */
const counted = (signal: string) =>
  `select application_id, environment, target, sum(count)::float8 as value, '{}'::jsonb as facts
  from alert_counts where signal = '${signal}' and at >= $4 group by application_id, environment, target`

export const signals = {
  schemaViolations: 'schema_violations', writesRefused: 'writes_refused', resyncs: 'subscribers_resynced'
} as const
export type Signal = typeof signals[keyof typeof signals]

/** The status that the reader of a connected database has stored last, with the end of its lease. */
const connections =
  `select c.application_id, c.environment, c.id, c.status::jsonb as status,
    coalesce(c.status->>'state', 'connecting') as state,
    coalesce((c.status->>'since')::float8, c.created_at) as since, p.lease_expires_at < clock_timestamp() as is_unread,
    case when isfinite(p.lease_expires_at) then extract(epoch from p.lease_expires_at)::float8 * 1000 end as read_until
  from cdc_connections c join cdc_positions p on p.connection_id = c.id`

export const measures: Readonly<Record<AlertRuleName, string>> = {
  // The stored state of a connection whose reader has died is that of its last report.
  connection_failed:
    `select application_id, environment, id as target, 1::float8 as value, jsonb_strip_nulls(jsonb_build_object(
      'state', case when state = 'streaming' then 'unread' else state end, 'code', status->'error'->>'code',
      'since', floor(case when state = 'streaming' then read_until else since end)::bigint)) as facts
    from (${connections}) c where state <> 'streaming' or is_unread`,
  cdc_lag:
    `select application_id, environment, id as target, greatest(
      ($3 - (status->>'oldestCommitAt')::float8) / 1000, case when state <> 'streaming' then ($3 - since) / 1000 end,
      case when is_unread then ($3 - read_until) / 1000 end, 0)::float8 as value,
      '{}'::jsonb as facts
    from (${connections}) c`,
  slot_holds_wal:
    `select application_id, environment, id as target, (status->>'retainedBytes')::float8 as value,
      '{}'::jsonb as facts
    from (${connections}) c where status->>'retainedBytes' is not null`,
  mapping_failures:
    `select application_id, environment, mapping_id as target, sum(greatest(events, 1))::float8 as value,
      jsonb_strip_nulls(jsonb_build_object('code', mode() within group (order by code))) as facts
    from database_logs where status <> 'delivered' and created_at >= $4
    group by application_id, environment, mapping_id`,
  schema_violations: counted(signals.schemaViolations),
  endpoint_failing:
    `select application_id, ${environmentsOf} as environment, id as target,
      ($3 - failing_since)::float8 / 1000 as value, jsonb_build_object('since', failing_since) as facts
    from webhooks w where failing_since is not null and active`,
  endpoint_disabled:
    `select application_id, ${environmentsOf} as environment, id as target, 1::float8 as value,
      jsonb_build_object('code', deactivated_reason) as facts
    from webhooks w where deactivated_reason is not null and not active`,
  // An alert about deliveries of alerts would cause the next one. Each webhook has its own limit, so that those of one
  // hide no other's.
  dead_deliveries:
    `select w.application_id, d.environment, w.id as target, count(*)::float8 as value, '{}'::jsonb as facts
    from webhooks w cross join lateral (
      select environment from webhook_deliveries
      where webhook_id = w.id and state = 'dead' and settled_at >= $5 and topic <> 'system.alert'
      order by settled_at desc limit ${deadCountedMax}) d
    group by w.application_id, d.environment, w.id`,
  writes_refused: counted(signals.writesRefused),
  subscribers_resynced: counted(signals.resyncs),
  quota_nearly_used:
    `select application_id, environment, target, value, '{}'::jsonb as facts
    from json_to_recordset($6) as r(application_id text, environment text, target text, value float8)`
}
