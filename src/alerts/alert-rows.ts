import type { Selectable } from 'kysely'
import type { AlertsTable } from '../../db/tables.ts'
import type { Alert, AlertRuleName, AlertSeverity } from '../../schemas/alerts.ts'
import { rules } from './rules.ts'

type Measured = Pick<Selectable<AlertsTable>, 'target' | 'value' | 'threshold'> & {
  rule: AlertRuleName
  facts: { code?: string, state?: string, since?: number }
}

export function toDetails ({ rule, target, value, threshold, facts }: Measured): Alert['details'] {
  const { target: type, threshold: limits } = rules[rule]
  const isMeasured = limits !== undefined
  return {
    target: { type, id: target },
    value: isMeasured ? value : null,
    threshold: isMeasured ? threshold : null,
    unit: limits?.unit ?? null,
    ...facts,
    runbook: `/docs/ALERTS.md#${rule}`
  }
}

/** Returns an alert that has fired. */
export function toAlert (row: Selectable<AlertsTable>): Alert {
  const rule = row.rule as AlertRuleName
  return {
    id: row.id,
    rule,
    severity: row.severity as AlertSeverity,
    status: row.status === 'resolved' ? 'resolved' : 'firing',
    summary: row.summary ?? '',
    details: toDetails({ ...row, rule }),
    startedAt: row.started_at ?? row.pending_since,
    resolvedAt: row.resolved_at,
    resolution: row.resolution as Alert['resolution'],
    acknowledgedBy: row.acknowledged_by,
    acknowledgedAt: row.acknowledged_at
  }
}
