import type { AlertRuleName, AlertSeverity, AlertTargetType, AlertUnit } from '../../schemas/alerts.ts'

/** The limits of a rule's threshold, and its default. */
export interface ThresholdLimits {
  default: number
  min: number
  max: number
  unit: AlertUnit
}

/** A built-in rule with its defaults. measures.ts has its query. */
export interface Rule {
  severity: AlertSeverity
  /** Undefined for a condition that holds or does not. */
  threshold: ThresholdLimits | undefined
  forSeconds: number
  target: AlertTargetType
  /** When the condition holds. */
  description: string
  /** The instructions for people. docs/ALERTS.md has both texts. */
  action: string
  /** Returns the summary of an alert: one sentence, without a value that has no limit in length. */
  summary (target: string, value: number): string
}

const count = (value: number, singular: string, plural = `${singular}s`) =>
  `${value} ${value === 1 ? singular : plural}`
const seconds = (value: number) => count(Math.round(value), 'second')
const megabytes = (value: number) => `${Math.round(value / 1024 ** 2)} MiB`

const day = 86_400
const counted = (value: number): ThresholdLimits => ({ default: value, min: 1, max: 1_000_000_000, unit: 'count' })
/** Dead deliveries of a webhook that are counted. */
export const deadCountedMax = 10_000

/** Every built-in rule. */
export const rules: Readonly<Record<AlertRuleName, Rule>> = {
  connection_failed: {
    severity: 'critical',
    threshold: undefined,
    forSeconds: 60,
    target: 'connection',
    description: 'The connected database is not streaming, or no node reads it.',
    action: 'Read `error` of `GET /api/database/connection`: it names the cause and what to change.',
    summary: target => `The connected database ${target} is not streaming`
  },
  cdc_lag: {
    severity: 'warning',
    threshold: { default: 60, min: 1, max: 7 * day, unit: 'seconds' },
    forSeconds: 60,
    target: 'connection',
    description: 'Changes of the connected database wait to be stored for at least this long.',
    action:
      'Check the load of the platform and of its database (`realtime_writer_transaction_seconds`). While the ' +
      'connection does not stream, the lag is the time since it last did.',
    summary: (target, value) => `The connected database ${target} is ${seconds(value)} behind`
  },
  slot_holds_wal: {
    severity: 'critical',
    threshold: { default: 1024 ** 3, min: 1024 ** 2, max: 2 ** 50, unit: 'bytes' },
    forSeconds: 60,
    target: 'connection',
    description: 'The replication slot makes the connected database keep at least this much WAL.',
    action:
      'Free the disk of the connected database before it is full: let the connection stream again, or delete the ' +
      'connection, which drops the slot. Set `max_slot_wal_keep_size` there.',
    summary: (target, value) => `The slot of the connected database ${target} holds ${megabytes(value)} of WAL`
  },
  mapping_failures: {
    severity: 'warning',
    threshold: counted(1),
    forSeconds: 0,
    target: 'mapping',
    description: 'Row changes that a mapping selected produced no event in the last 5 minutes.',
    action:
      'Read `GET /api/database/logs?mappingId=…&status=failed` and `…&status=rejected`, and correct the mapping or ' +
      'the schema of its topic.',
    summary: (target, value) => `The mapping ${target} failed for ${count(value, 'row change')}`
  },
  schema_violations: {
    severity: 'warning',
    threshold: counted(10),
    forSeconds: 0,
    target: 'topic',
    description: "Payloads were refused by the topic's active schema in the last 5 minutes.",
    action:
      'Find the publisher by the traces of the topic in the debugger (`GET /api/debugger/traces`), and correct it or ' +
      'the schema.',
    summary: (target, value) => `The schema of ${target} refused ${count(value, 'payload')}`
  },
  endpoint_failing: {
    severity: 'warning',
    threshold: { default: 300, min: 0, max: 30 * day, unit: 'seconds' },
    forSeconds: 0,
    target: 'webhook',
    description: 'Every request to an active webhook has failed for at least this long.',
    action:
      'Read the responses in `GET /api/webhooks/logs?webhookId=…`, and repair the endpoint. After five days of ' +
      'failures the platform disables the webhook.',
    summary: (target, value) => `Every request to the webhook ${target} has failed for ${seconds(value)}`
  },
  endpoint_disabled: {
    severity: 'critical',
    threshold: undefined,
    forSeconds: 0,
    target: 'webhook',
    description: 'The platform has disabled a webhook, because its endpoint is gone or failed for days.',
    action: 'Repair the endpoint, then activate the webhook and redrive its dead deliveries.',
    summary: target => `The platform has disabled the webhook ${target}`
  },
  dead_deliveries: {
    severity: 'warning',
    threshold: { ...counted(1), max: deadCountedMax },
    forSeconds: 0,
    target: 'webhook',
    description:
      'Deliveries of a webhook became dead in the last hour and are dead still. Those of alerts do not count.',
    action: 'Repair the endpoint, then send the deliveries again with `POST /api/webhooks/redrive`.',
    summary: (target, value) => `${count(value, 'delivery', 'deliveries')} of the webhook ${target} died`
  },
  writes_refused: {
    severity: 'warning',
    threshold: counted(10),
    forSeconds: 0,
    target: 'error',
    description:
      'Writes were refused with one error code in the last 5 minutes. Conflicts, which correct clients meet too, and ' +
      'schema violations do not count.',
    action: 'Look the code up in [ERRORS.md](ERRORS.md). For `QUEUE_FULL` and `DATABASE_UNAVAILABLE`, check the ' +
      "platform's database.",
    summary: (target, value) => `${count(value, 'write')} ${value === 1 ? 'was' : 'were'} refused with ${target}`
  },
  subscribers_resynced: {
    severity: 'info',
    threshold: counted(10),
    forSeconds: 0,
    target: 'topic',
    description: 'Subscriptions to a topic or pattern ended with `resync` in the last 5 minutes, for lack of speed ' +
      'or of retained events.',
    action:
      'Clients read more slowly than events arrive, or were away for longer than the retention: narrow their ' +
      'filters, or raise `EVENT_RETENTION_HOURS`.',
    summary: (target, value) => `${count(value, 'subscription')} to ${target} ended with a resync`
  },
  quota_nearly_used: {
    severity: 'warning',
    threshold: { default: 80, min: 1, max: 100, unit: 'percent' },
    forSeconds: 0,
    target: 'quota',
    description: 'The application has used at least this share of a quota.',
    action: 'Raise the quota with `PUT /api/applications/:id/quotas`, or publish less.',
    summary: (target, value) => `${Math.floor(value)} % of the quota ${target} is used`
  }
}
