import type pg from 'pg'
import type { AlertRuleName, AlertSeverity } from '../../schemas/alerts.ts'
import type { Environment } from '../../schemas/scope.ts'
import { ruleEntries } from './rule-settings.ts'

/** Alerts that one evaluation fires or resolves. The rest follows at once, in the next piece. */
export const dueAtOnce = 500

/** An alert that must fire or be resolved. */
export interface DueAlert {
  id: string
  application_id: string
  environment: Environment
  rule: AlertRuleName
  target: string
  status: 'pending' | 'firing'
  /** The rule's current severity for a pending alert, its own for a firing one. */
  severity: AlertSeverity
  summary: string | null
  value: number | null
  threshold: number | null
  facts: { code?: string, state?: string, since?: number }
  started_at: number | null
  is_disabled: boolean
}

/**
 * Reads pending alerts whose condition has held for long enough, and firing ones whose condition has not, of the rules
 * that were evaluated: of others it is unknown. Applications take turns, so that one whose writes fail delays no other.
 */
export async function readDueAlerts (
  pool: pg.Pool, evaluated: ReadonlySet<AlertRuleName>, now: number, resolveAfterMs: number
): Promise<DueAlert[]> {
  const entries = ruleEntries.filter(([name]) => evaluated.has(name))
  const { rows } = await pool.query<DueAlert>({
    name: 'alerts_due',
    text: `
      select a.id, a.application_id, a.environment, a.rule, a.target, a.status,
        coalesce(a.severity, s.severity, d.severity) as severity, a.summary, a.value, a.threshold, a.facts,
        a.started_at, not coalesce(s.enabled, true) as is_disabled
      from unnest($1::text[], $2::text[], $3::int[]) as d(rule, severity, for_seconds)
      join alerts a on a.rule = d.rule and a.status in ('pending', 'firing')
      left join alert_rules s on s.application_id = a.application_id and s.environment = a.environment
        and s.rule = a.rule
      where case when a.status = 'pending'
        then $4 - a.pending_since >= coalesce(s.for_seconds, d.for_seconds) * 1000::bigint
        else $4 - a.cleared_since >= $5 or (a.cleared_since is not null and not coalesce(s.enabled, true)) end
      order by row_number() over (
        partition by a.application_id order by coalesce(a.cleared_since, a.pending_since), a.id
      ), coalesce(a.cleared_since, a.pending_since), a.id limit ${dueAtOnce}`,
    values: [
      entries.map(([name]) => name), entries.map(([, { severity }]) => severity),
      entries.map(([, { forSeconds }]) => forSeconds), now, resolveAfterMs
    ]
  })
  return rows
}
