import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { WebhookDeliveryTrace } from '../../schemas/debugger.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import { EndpointIndex, Listening, type ListeningRow } from '../delivery/matching/endpoint-index.ts'
import type { Endpoints } from '../webhooks/endpoints.ts'
import type { WebhookExplainer } from './explainer.ts'
import type { WebhookRouter } from './router.ts'
import { askFilter, hiddenFilter, type Asked } from './verdict.ts'
import type { WebhookTraces } from './webhook-traces.ts'
import type { Webhook } from '../../schemas/webhooks.ts'
import { masked } from '../identity/audit/mask.ts'

/** Webhooks of an application that are examined. */
const webhooksMax = 1000

export interface WebhookVerdictsOptions {
  db: Kysely<Database>
  endpoints: Endpoints
  traces: WebhookTraces
  /** How long an accepted delivery is kept at least. */
  keptMs: number
  /** Returns the end of the pause that this node gives a failing endpoint, if any. */
  pausedUntil (webhookId: string): number | undefined
}

/** The properties of an event that webhooks match. */
interface Subject { type: EventType, topic: string, payload: string }

const columns = [
  'id', 'events', 'topics', 'filter', 'environments', 'active', 'deactivated_reason', 'created_at', 'updated_at'
] as const

/** Explains and predicts deliveries of an event to webhooks, using the writer's own matching. */
export function createWebhookVerdicts ({ db, endpoints, traces, keptMs, pausedUntil }: WebhookVerdictsOptions) {
  return {
    async explain ({ scope, within, maySee }, webhookId, event) {
      await endpoints.get(scope, webhookId, within)
      const row = await db.selectFrom('webhooks').select(columns).where('id', '=', webhookId).where(
        'application_id', '=', scope.applicationId
      ).executeTakeFirstOrThrow()
      // The existence of a delivery reveals whether the filter matched.
      const hasFilter = row.filter !== null || row.updated_at > event.timestamp
      if (hasFilter && !maySee(event.topic)) return [hiddenFilter]
      await traces.catchUp()
      const owed = await traces.deliveries({ scope, within }, event.id, webhookId)
      // A delivery reflects the webhook as it was at the event's time.
      if (owed.length > 0) {
        return [
          { condition: 'routed', holds: true, found: owed.length, message: 'A delivery to the webhook was made' },
          askDelivery(owed, row.active, pausedUntil(webhookId))
        ]
      }
      if (row.created_at > event.timestamp) {
        return [notRouted(
          `The webhook was created at ${iso(row.created_at)}, after the event of ${iso(event.timestamp)}`
        )]
      }
      const was = await webhookAt(db, row, event.timestamp)
      if (was === undefined) {
        return [notKept('The webhook was changed after the event, and its earlier settings are not available')]
      }
      const changed = row.updated_at > event.timestamp
        ? `, with its settings of that time (it was changed at ${iso(row.updated_at)})`
        : ''
      return [
        ...ask(was, scope, event, !maySee(event.topic)),
        Date.now() - event.timestamp < keptMs
          ? notRouted(
            `The event matches the webhook${changed}, but no delivery was made: the webhook was created, changed or ` +
              'activated at the same moment'
          )
          : notKept(`The event matches the webhook${changed}, but records of deliveries from that time have expired`)
      ]
    },

    async route (scope, within, event) {
      const rows = await db.selectFrom('webhooks').select(columns).where('application_id', '=', scope.applicationId)
        .orderBy('created_at').orderBy('id').limit(webhooksMax).execute()
      const visible = rows.filter(({ environments }) =>
        within === undefined || (environments?.length === 1 && environments[0] === within)
      )
      const matched = new Set<string>()
      // Uses the writer's own matching on the webhooks that the writer would have in memory.
      new EndpointIndex(visible.filter(({ active }) => active))
        .match(scope, { ...event, source: 'api', key: null, schemaVersion: null }, id => matched.add(id))
      return visible.map(row => ({
        webhookId: row.id,
        matches: matched.has(row.id),
        conditions: ask(row, scope, event, false).map(({ cause, otherwise, ...condition }) => condition)
      }))
    }
  } satisfies WebhookExplainer & WebhookRouter
}

/** Returns each condition of the writer's matching, and whether it holds. */
function ask (
  row: WebhookState, { environment }: Scope, { type, topic, payload }: Subject, isHidden: boolean
): Asked[] {
  const { environments, events, topics } = row
  const listening = new Listening(row)
  const [isOfEnvironment, isListed, isTakenIn] = [
    listening.isOf(environment), listening.lists(type), listening.takesIn(topic)
  ]
  return [
    {
      condition: 'active',
      holds: row.active,
      found: row.deactivated_reason ?? (row.active ? 'active' : 'inactive'),
      cause: 'WEBHOOK_INACTIVE',
      message: row.active
        ? 'The webhook is active'
        : `The webhook is inactive${row.deactivated_reason === null ? '' : `: ${row.deactivated_reason}`}`
    },
    {
      condition: 'environment',
      holds: isOfEnvironment,
      wanted: environments ?? 'every environment',
      found: environment,
      cause: 'ENVIRONMENT_DIFFERS',
      message: isOfEnvironment
        ? `The webhook listens to ${environment}`
        : `The webhook listens to ${environments?.join(', ')}, not to ${environment}`
    },
    {
      condition: 'event_type',
      holds: isListed,
      wanted: events,
      found: type,
      cause: 'EVENT_TYPE_NOT_LISTED',
      message: isListed
        ? `The webhook listens to ${type}`
        : `The webhook listens to ${events.join(', ')}, not to ${type}`
    },
    {
      condition: 'topic',
      holds: isTakenIn,
      wanted: topics ?? 'every topic',
      found: topic,
      cause: 'TOPIC_NOT_MATCHED',
      message: isTakenIn
        ? `The webhook listens to ${topic}`
        : `The webhook listens to ${topics?.join(', ')}, not to ${topic}`
    },
    ...askFilter(listening.filter, JSON.parse(payload), isHidden)
  ]
}

/** Explains the delivery that came furthest, if a webhook has several because of replays. */
function askDelivery (all: readonly WebhookDeliveryTrace[], isActive: boolean, until: number | undefined): Asked {
  const best = all.find(({ state }) => state === 'delivered') ?? all.find(({ state }) => state === 'pending') ??
    all.at(-1) as WebhookDeliveryTrace
  const last = best.attempts.at(-1)
  const tried = `${best.attempts.length} attempts${
    last === undefined ? '' : `, the last at ${iso(last.at)}: ${last.error ?? last.statusCode ?? ''}`
  }`
  const found = {
    deliveryId: best.deliveryId, state: best.state, attempts: best.attempts.length,
    statusCode: last?.statusCode ?? null, error: last?.error ?? null, nextAttemptAt: best.nextAttemptAt
  }
  switch (best.state) {
    case 'delivered':
      return { condition: 'delivery', holds: true, found, message: `The endpoint accepted the event: ${tried}` }
    case 'dead':
      return {
        condition: 'delivery',
        holds: false,
        found,
        cause: 'DELIVERY_DEAD',
        message: `The delivery was given up: ${tried}`
      }
  }
  if (!isActive) {
    return {
      condition: 'delivery',
      holds: false,
      found,
      cause: 'WEBHOOK_INACTIVE',
      otherwise: 'pending',
      message: `The delivery waits until the webhook is activated: ${tried}`
    }
  }
  if (until === undefined) {
    return {
      condition: 'delivery',
      holds: false,
      found,
      cause: 'DELIVERY_PENDING',
      otherwise: 'pending',
      message: `The delivery waits for its next attempt: ${tried}`
    }
  }
  return {
    condition: 'circuit',
    holds: false,
    found,
    cause: 'CIRCUIT_OPEN',
    otherwise: 'pending',
    message: `The endpoint is failing and paused until ${iso(until)}: ${tried}`
  }
}

const iso = (time: number): string => new Date(time).toISOString()
const notRouted = (message: string): Asked => ({ condition: 'routed', holds: false, cause: 'NOT_ROUTED', message })
const notKept = (message: string): Asked => ({
  condition: 'routed', holds: false, cause: 'NOT_KEPT', otherwise: 'unknown', message
})

/** Changes of one webhook that are examined. */
const changesMax = 1000

/** The settings of a webhook that decide which events it receives. */
export interface WebhookState extends ListeningRow {
  active: boolean
  deactivated_reason: string | null
}

interface Change { action: string, before: Partial<Webhook> | null }

/**
 * Returns the settings of a webhook at a time, reconstructed from the audit log of its changes since. Returns undefined
 * when the audit log does not suffice: it is limited, and masks values that might be secrets.
 */
export async function webhookAt (
  db: Kysely<Database>, now: WebhookState, at: number
): Promise<WebhookState | undefined> {
  const { rows } = await sql<Change>`
    select action, before from audit_log where resource = 'webhook' and resource_id = ${now.id}
      and at > ${at} order by sequence limit ${changesMax}`
    .execute(db)
  if (rows.length >= changesMax) return undefined
  const active = activeBefore(rows) ?? now.active
  const deactivated = {
    active,
    deactivated_reason: active
      ? null
      : rows.find(({ before }) => before?.active !== undefined)?.before?.deactivatedReason ?? now.deactivated_reason
  }
  // Entries of the platform itself record only the deactivation.
  const before = rows.find(change => change.before !== null)?.before
  if (before === undefined || before === null) return { ...now, ...deactivated }
  const { events, topics, filter, environments } = before
  if (events === undefined || topics === undefined || filter === undefined || environments === undefined) {
    return undefined
  }
  const filterText = filter === null ? null : JSON.stringify(filter)
  if (filterText?.includes(masked) === true) return undefined
  return { id: now.id, events, topics, filter: filterText, environments, ...deactivated }
}

function activeBefore (changes: readonly Change[]): boolean | undefined {
  for (const { action, before } of changes) {
    if (before?.active !== undefined) return before.active
    if (action === 'webhook.deactivated') return true
  }
  return undefined
}
