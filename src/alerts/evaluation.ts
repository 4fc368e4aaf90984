import type pg from 'pg'
import type { AlertRuleName } from '../../schemas/alerts.ts'
import type { Environment } from '../../schemas/scope.ts'
import type { AlertSettings } from '../config/alert-settings.ts'
import { measures } from './measures.ts'
import { rules } from './rules.ts'

/** An evaluation after a pause longer than this does not count the pause as time in which a condition held. */
const pauseMaxIntervals = 4
const pauseMaxLeastMs = 60_000
/** How often the value of a firing alert is stored while its condition holds. */
const refreshMs = 60_000

/** The used share of a quota, in percent. */
export interface QuotaReading {
  applicationId: string
  environment: Environment
  quota: string
  percent: number
}

/** Returns the quotas that are used in part, of all applications. */
export type ReadQuotas = () => Promise<QuotaReading[]>

/**
 * Evaluates one rule for all scopes with one statement. Targets whose condition holds get a pending alert, or keep the
 * one they have; pending alerts whose condition does not hold are deleted, and firing ones get the time since which it
 * does not hold. Alerts that are open keep their place among the most that may fire.
 */
export function evaluationSql (measure: string): string {
  return `
  with given as (
    select $1::text as rule, $2::float8 as threshold, $3::bigint as now, $4::bigint as window_from,
      $5::bigint as dead_from, $6::json as readings, $7::bigint as pause_from, $8::bigint as refresh_before,
      $9::int as firing_max),
  measured as (${measure}),
  held as (
    select application_id, environment, target, value, facts, threshold from (
      select m.*, coalesce(s.threshold, given.threshold) as threshold, row_number() over (
        partition by m.application_id, m.environment order by o.id is null, m.value desc, m.target) as place
      from given cross join measured m
      join applications a on a.id = m.application_id
      left join alert_rules s on s.application_id = m.application_id and s.environment = m.environment
        and s.rule = given.rule
      left join alerts o on o.application_id = m.application_id and o.environment = m.environment
        and o.rule = given.rule and o.target = m.target and o.status <> 'resolved'
      where coalesce(s.enabled, true)
        and (given.threshold is null or m.value >= coalesce(s.threshold, given.threshold))) ranked
    where place <= $9),
  opened as (
    insert into alerts (id, application_id, environment, rule, target, status, value, threshold, facts, pending_since,
      seen_at)
    select 'alr_' || replace(gen_random_uuid()::text, '-', ''), h.application_id, h.environment, given.rule, h.target,
      'pending', h.value, h.threshold, h.facts, given.now, given.now
    from held h, given
    on conflict (application_id, environment, rule, target) where status <> 'resolved' do update set
      value = excluded.value, threshold = excluded.threshold, facts = excluded.facts, seen_at = excluded.seen_at,
      cleared_since = null,
      pending_since = case when alerts.status = 'pending' and alerts.seen_at < $7 then excluded.pending_since
        else alerts.pending_since end
    where alerts.status = 'pending' or alerts.cleared_since is not null or alerts.seen_at < $8
    returning 1),
  dropped as (
    delete from alerts a using given where a.rule = given.rule and a.status = 'pending' and not exists (
      select from held h where h.application_id = a.application_id and h.environment = a.environment
        and h.target = a.target)
    returning 1),
  cleared as (
    update alerts a set cleared_since = given.now from given
    where a.rule = given.rule and a.status = 'firing' and a.cleared_since is null and not exists (
      select from held h where h.application_id = a.application_id and h.environment = a.environment
        and h.target = a.target)
    returning 1)
  select (select count(*) from opened) + (select count(*) from dropped) + (select count(*) from cleared) as changed`
}

export interface EvaluateOptions {
  pool: pg.Pool
  settings: AlertSettings
  readQuotas: ReadQuotas
}

export async function evaluateRule (
  { pool, settings, readQuotas }: EvaluateOptions, rule: AlertRuleName, now: number
): Promise<void> {
  const { intervalMs, windowMs, deadWindowMs, countedPerMs, firingPerRuleMax } = settings
  const readings = rule === 'quota_nearly_used'
    ? (await readQuotas()).map(({ applicationId, environment, quota, percent }) => ({
        application_id: applicationId, environment, target: quota, value: percent
      }))
    : []
  await pool.query({
    name: `alerts_evaluate_${rule}`,
    text: evaluationSql(measures[rule]),
    values: [
      rule,
      rules[rule].threshold?.default ?? null,
      now,
      now - windowMs - countedPerMs,
      now - deadWindowMs,
      JSON.stringify(readings),
      now - Math.max(pauseMaxLeastMs, pauseMaxIntervals * intervalMs),
      now - refreshMs,
      firingPerRuleMax
    ]
  })
}
