import { Type, type Static } from '@sinclair/typebox'
import { Enum, EpochMs, Nullable } from './common.ts'
import { listFields, listShape } from './lists.ts'

export const alertRuleNames = [
  'connection_failed', 'cdc_lag', 'slot_holds_wal', 'mapping_failures', 'schema_violations', 'endpoint_failing',
  'endpoint_disabled', 'dead_deliveries', 'writes_refused', 'subscribers_resynced', 'quota_nearly_used'
] as const
export type AlertRuleName = typeof alertRuleNames[number]

export const alertSeverities = ['critical', 'warning', 'info'] as const
export type AlertSeverity = typeof alertSeverities[number]

const alertStatuses = ['firing', 'resolved'] as const

const alertUnits = ['seconds', 'bytes', 'count', 'percent'] as const
export type AlertUnit = typeof alertUnits[number]

const alertTargets = ['connection', 'mapping', 'topic', 'webhook', 'error', 'quota'] as const
export type AlertTargetType = typeof alertTargets[number]

const RuleName = Enum('AlertRuleName', alertRuleNames, { examples: ['dead_deliveries'] })
const Severity = Enum('AlertSeverity', alertSeverities, { examples: ['warning'] })
const Status = Enum('AlertStatus', alertStatuses, { examples: ['firing'] })
const Unit = Nullable(Enum('AlertUnit', alertUnits), {
  description: 'The unit of the value and the threshold; null for a rule without a threshold.', examples: ['count']
})

const AlertDetails = Type.Object({
  target: Type.Object({
    type: Enum('AlertTargetType', alertTargets, { examples: ['webhook'] }),
    id: Type.String({
      description: 'An id, a topic, an error code or the name of a quota, depending on the type.',
      examples: ['wh_abc123']
    })
  }, { description: 'The subject of the alert. A rule has at most one firing alert for each target.' }),
  value: Nullable(Type.Number(), { description: 'The last measured value.', examples: [12] }),
  threshold: Nullable(Type.Number(), { description: 'The threshold when the alert fired.', examples: [1] }),
  unit: Unit,
  code: Type.Optional(Type.String({
    description: 'The most frequent or the last error code, if there is one.', examples: ['SOURCE_UNREACHABLE']
  })),
  state: Type.Optional(Type.String({ description: 'The state of the connection.', examples: ['error'] })),
  since: Type.Optional(EpochMs('When the target was last seen to work.')),
  runbook: Type.String({
    description: 'The path of the instructions in the documents of this server.',
    examples: ['/docs/ALERTS.md#dead_deliveries']
  })
})

const event = {
  id: Type.String({ examples: ['alr_0a1b2c3d4e5f60718293a4b5c6d7e8f9'] }),
  rule: RuleName,
  severity: { ...Severity, description: 'The severity of the rule when the alert fired.' } as typeof Severity,
  status: Status,
  summary: Type.String({
    description: 'One sentence for people.', examples: ['12 deliveries of the webhook wh_abc123 are dead']
  }),
  details: AlertDetails,
  startedAt: EpochMs('When the alert fired.'),
  resolvedAt: Nullable(EpochMs('When the alert was resolved; null while it is firing.')),
  resolution: Nullable(Enum('AlertResolution', ['cleared', 'rule_disabled']), {
    description: '`cleared`: the condition no longer holds. `rule_disabled`: the rule was disabled. null while firing.',
    examples: [null]
  })
}

/** The payload of `alert.firing` and `alert.resolved`. */
export const AlertEvent = Type.Object(event)
export type AlertEvent = Static<typeof AlertEvent>

export const Alert = Type.Object({
  ...event,
  acknowledgedBy: Nullable(Type.String(), {
    description: 'The user, the API key or the subject of the token that acknowledged the alert.', examples: [null]
  }),
  acknowledgedAt: Nullable(EpochMs('When the alert was acknowledged.'))
}, { $id: 'Alert' })
export type Alert = Static<typeof Alert>

export const alertList = listShape('alerts', {
  sorts: ['startedAt', 'resolvedAt'], order: 'desc', search: ['rule', 'target', 'summary']
})
export const AlertQuery = Type.Object({
  ...listFields(alertList, 'order'),
  status: Type.Optional(Enum('AlertStatus', alertStatuses, {
    description: 'Only alerts that are firing, or only resolved ones.', examples: ['firing']
  })),
  severity: Type.Optional(Enum('AlertSeverity', alertSeverities, {
    description: 'Only alerts of this severity.', examples: ['warning']
  })),
  rule: Type.Optional(Enum('AlertRuleName', alertRuleNames, {
    description: 'Only alerts of this rule.', examples: ['dead_deliveries']
  }))
}, { additionalProperties: false })
export type AlertQuery = Static<typeof AlertQuery>

export const AlertPath = Type.Object({
  id: Type.String({
    minLength: 5, maxLength: 64, pattern: '^alr_[A-Za-z0-9_-]+$', description: 'Id of the alert.',
    examples: ['alr_0a1b2c3d4e5f60718293a4b5c6d7e8f9']
  })
})

export const forSecondsMax = 86_400

const ForSeconds = Type.Integer({
  minimum: 0, maximum: forSecondsMax,
  description: 'How long the condition must hold before the alert fires.', examples: [60]
})

export const AlertRule = Type.Object({
  rule: RuleName,
  enabled: Type.Boolean({ examples: [true] }),
  severity: Severity,
  threshold: Nullable(Type.Number(), {
    description: 'The condition holds while the value is at least this; null for a rule without a threshold.',
    examples: [1]
  }),
  forSeconds: ForSeconds,
  description: Type.String({
    description: 'When the condition holds.', examples: ['Deliveries of a webhook have become dead in the last hour.']
  }),
  unit: Unit,
  thresholdMin: Nullable(Type.Number(), { description: 'The least threshold.', examples: [1] }),
  thresholdMax: Nullable(Type.Number(), { description: 'The greatest threshold.', examples: [100000] })
}, { $id: 'AlertRule' })
export type AlertRule = Static<typeof AlertRule>

export const AlertRuleUpdate = Type.Object({
  rule: RuleName,
  enabled: Type.Optional(Type.Boolean({
    description: 'A disabled rule resolves its firing alerts.', examples: [true]
  })),
  severity: Type.Optional({
    ...Severity, description: 'Applies to alerts that fire from now on.'
  } as typeof Severity),
  threshold: Type.Optional(Nullable(Type.Number(), {
    description: 'Within `thresholdMin` and `thresholdMax`; null only for a rule without a threshold.', examples: [1]
  })),
  forSeconds: Type.Optional(ForSeconds)
}, { $id: 'AlertRuleUpdate', additionalProperties: false })
export type AlertRuleUpdate = Static<typeof AlertRuleUpdate>

export const AlertRulesUpdate = Type.Array(Type.Unsafe<AlertRuleUpdate>({ $ref: 'AlertRuleUpdate#' }), {
  $id: 'AlertRulesUpdate',
  minItems: 1,
  maxItems: alertRuleNames.length,
  description: 'The rules to change. Fields that are left out stay as they are.',
  examples: [[{ rule: 'dead_deliveries', severity: 'critical', threshold: 10, forSeconds: 60 }]]
})
export type AlertRulesUpdate = AlertRuleUpdate[]
