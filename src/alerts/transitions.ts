import type { Alert, AlertEvent } from '../../schemas/alerts.ts'
import { fingerprint, type Intent, type Statement } from '../events/intent.ts'
import { alertTopic } from '../registry/topics/topic-names.ts'
import { toDetails } from './alert-rows.ts'
import type { DueAlert } from './due-alerts.ts'
import { rules } from './rules.ts'

/*
 * An alert changes its status in the transaction that appends the event. Each statement fails the transaction if it
 * finds no alert to change, by a division by zero: a node whose lease has ended may still try to fire an alert that
 * another node has dropped or resolved meanwhile. The idempotency key makes the batch a transaction, and a repetition
 * of the same change without effect.
 */

const fireSql = `
  with moved as (
    update alerts set status = 'firing', started_at = $2, severity = $3, summary = $4
    where id = $1 and status = 'pending' returning 1)
  select 1 / count(*) as moved from moved`
const resolveSql = `
  with moved as (
    update alerts set status = 'resolved', resolved_at = $2, resolution = $3
    where id = $1 and status = 'firing' returning 1)
  select 1 / count(*) as moved from moved`
const forgetSql = `
  delete from alerts where id in (
    select id from alerts where application_id = $1 and environment = $2 and status = 'resolved'
    order by started_at desc, id desc offset $3)`

/** Returns the intent that fires a pending alert or resolves a firing one. */
export function transitionOf (alert: DueAlert, resolvedPerScopeMax: number): Intent<null> {
  const scope = { applicationId: alert.application_id, environment: alert.environment }
  const type = alert.status === 'pending' ? 'alert.firing' : 'alert.resolved'
  return {
    scope,
    topics: [alertTopic],
    idempotency: { key: `${type}:${alert.id}`, fingerprint: fingerprint(type, alert.id, null) },
    // Without a schema check: no schema of the tenant may block this event.
    apply ({ now }) {
      const changed = alert.status === 'pending' ? fired(alert, now) : resolved(alert, now)
      const forget: Statement = {
        name: 'alerts_forget', text: forgetSql, values: [scope.applicationId, scope.environment, resolvedPerScopeMax]
      }
      return {
        events: [{
          topic: alertTopic, type, source: 'api', key: alert.id, payload: JSON.stringify(changed), schemaVersion: null
        }],
        also: alert.status === 'pending' ? [fire(changed)] : [resolve(changed), forget]
      }
    },
    answer: () => null
  }
}

const fired = (alert: DueAlert, now: number): AlertEvent => ({
  ...common(alert),
  status: 'firing',
  summary: rules[alert.rule].summary(alert.target, alert.value ?? 0),
  startedAt: now,
  resolvedAt: null,
  resolution: null
})

const resolved = (alert: DueAlert, now: number): AlertEvent => ({
  ...common(alert),
  status: 'resolved',
  summary: alert.summary ?? '',
  startedAt: alert.started_at ?? now,
  resolvedAt: now,
  resolution: alert.is_disabled ? 'rule_disabled' : 'cleared'
})

const common = (alert: DueAlert): Pick<Alert, 'id' | 'rule' | 'severity' | 'details'> => ({
  id: alert.id, rule: alert.rule, severity: alert.severity, details: toDetails(alert)
})

const fire = ({ id, startedAt, severity, summary }: AlertEvent): Statement => ({
  name: 'alerts_fire', text: fireSql, values: [id, startedAt, severity, summary]
})

const resolve = ({ id, resolvedAt, resolution }: AlertEvent): Statement => ({
  name: 'alerts_resolve', text: resolveSql, values: [id, resolvedAt, resolution]
})
