import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { WebhookDeliveryTrace } from '../../schemas/debugger.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import { EndpointMatch, Listening, type ListeningRow } from '../delivery/matching/endpoint-index.ts'
import type { Endpoints } from '../webhooks/endpoints.ts'
import type { WebhookExplainer } from './explain.ts'
import type { WebhookRouter } from './route.ts'
import { askFilter, hiddenFilter, type Asked } from './verdict.ts'
import type { WebhookTraces } from './webhook-traces.ts'
import type { Webhook } from '../../schemas/webhooks.ts'
import { masked } from '../identity/audit/mask.ts'

/** Webhooks of an application that are looked at. */
const webhooksMax = 1000

export interface WebhookVerdictsOptions {
  db: Kysely<Database>
  endpoints: Endpoints
  traces: WebhookTraces
  /** How long a delivery that was accepted is kept at least. */
  keptMs: number
  /** Until when this node leaves a webhook's endpoint alone because it fails. */
  pausedUntil (webhookId: string): number | undefined
}

/** What an event is to webhooks. */
interface Subject { type: EventType, topic: string, payload: string }

const columns = [
  'id', 'events', 'topics', 'filter', 'environments', 'active', 'deactivated_reason', 'created_at', 'updated_at'
] as const

/** What webhooks are owed of an event, or would be, and why or why not: by the matching that the writer does. */
export function createWebhookVerdicts ({ db, endpoints, traces, keptMs, pausedUntil }: WebhookVerdictsOptions) {
  return {
    async explain ({ scope, within, maySee }, webhookId, event) {
      await endpoints.get(scope, webhookId, within)
      const row = await db.selectFrom('webhooks').select(columns).where('id', '=', webhookId).where(
        'application_id', '=', scope.applicationId
      ).executeTakeFirstOrThrow()
      // Whether anything was owed to it tells whether its filter matched.
      const hasFilter = row.filter !== null || row.updated_at > event.timestamp
      if (hasFilter && !maySee(event.topic)) return [hiddenFilter]
      await traces.catchUp()
      const owed = await traces.deliveries({ scope, within }, event.id, webhookId)
      // What it was owed it was owed by the webhook as it was then.
      if (owed.length > 0) {
        return [
          { condition: 'routed', holds: true, found: owed.length, message: 'The event was owed to the webhook' },
          askDelivery(owed, row.active, pausedUntil(webhookId))
        ]
      }
      if (row.created_at > event.timestamp) { return [notRouted(`The webhook was made at ${iso(row.created_at)}, after the event of ${iso(event.timestamp)}`)] }
      const was = await webhookAt(db, row, event.timestamp)
      if (was === undefined) { return [notKept('The webhook was changed after the event, and what it was before is not kept')] }
      const changed = row.updated_at > event.timestamp
        ? `, as it was then (it was changed at ${iso(row.updated_at)})`
        : ''
      return [
        ...ask(was, scope, event, !maySee(event.topic)),
        Date.now() - event.timestamp < keptMs
          ? notRouted(
            `It is for the webhook${changed}; yet nothing was owed to it, because it was just being made, changed or switched on`
          )
          : notKept(`It is for the webhook${changed}; whether it was delivered is not kept for so long`)
      ]
    },

    async route (scope, within, event) {
      const rows = await db.selectFrom('webhooks').select(columns).where('application_id', '=', scope.applicationId)
        .orderBy('created_at').orderBy('id').limit(webhooksMax).execute()
      const visible = rows.filter(({ environments }) =>
        within === undefined || (environments?.length === 1 && environments[0] === within)
      )
      const matched = new Set<string>()
      // The writer's own matching, of those that it would have in memory.
      new EndpointMatch(visible.filter(({ active }) => active))
        .match(scope, { ...event, source: 'api', key: null, schemaVersion: null }, id => matched.add(id))
      return visible.map(row => ({
        webhookId: row.id,
        matches: matched.has(row.id),
        conditions: ask(row, scope, event, false).map(({ cause, otherwise, ...condition }) => condition)
      }))
    }
  } satisfies WebhookExplainer & WebhookRouter
}

/** Each thing that the writer's matching looks at, and what it says. */
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
        : `The webhook is switched off${row.deactivated_reason === null ? '' : `: ${row.deactivated_reason}`}`
    },
    {
      condition: 'environment',
      holds: isOfEnvironment,
      wanted: environments ?? 'every environment',
      found: environment,
      cause: 'ENVIRONMENT_DIFFERS',
      message: isOfEnvironment
        ? `The webhook fires for ${environment}`
        : `The webhook fires for ${environments?.join(', ')}, not for ${environment}`
    },
    {
      condition: 'event_type',
      holds: isListed,
      wanted: events,
      found: type,
      cause: 'EVENT_TYPE_NOT_LISTED',
      message: isListed
        ? `The webhook fires for ${type}`
        : `The webhook fires for ${events.join(', ')}, not for ${type}`
    },
    {
      condition: 'topic',
      holds: isTakenIn,
      wanted: topics ?? 'every topic',
      found: topic,
      cause: 'TOPIC_NOT_MATCHED',
      message: isTakenIn ? `The webhook takes in ${topic}` : `The webhook takes in ${topics?.join(', ')}, not ${topic}`
    },
    ...askFilter(listening.filter, JSON.parse(payload), isHidden)
  ]
}

/** Of several deliveries to a webhook, replays among them, the one that came furthest. */
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
      return { condition: 'delivery', holds: true, found, message: `The endpoint has accepted it: ${tried}` }
    case 'dead':
      return {
        condition: 'delivery',
        holds: false,
        found,
        cause: 'DELIVERY_DEAD',
        message: `It was given up: ${tried}`
      }
  }
  if (!isActive) {
    return {
      condition: 'delivery',
      holds: false,
      found,
      cause: 'WEBHOOK_INACTIVE',
      otherwise: 'pending',
      message: `It waits until the webhook is switched on: ${tried}`
    }
  }
  if (until === undefined) {
    return {
      condition: 'delivery',
      holds: false,
      found,
      cause: 'DELIVERY_PENDING',
      otherwise: 'pending',
      message: `It waits for its next attempt: ${tried}`
    }
  }
  return {
    condition: 'circuit',
    holds: false,
    found,
    cause: 'CIRCUIT_OPEN',
    otherwise: 'pending',
    message: `The endpoint fails, and is left alone until ${iso(until)}: ${tried}`
  }
}

const iso = (time: number): string => new Date(time).toISOString()
const notRouted = (message: string): Asked => ({ condition: 'routed', holds: false, cause: 'NOT_ROUTED', message })
const notKept = (message: string): Asked => ({
  condition: 'routed', holds: false, cause: 'NOT_KEPT', otherwise: 'unknown', message
})

/** Changes of one webhook that are looked at. */
const changesMax = 1000

/** What decides whether events are owed to a webhook. */
export interface WebhookState extends ListeningRow {
  active: boolean
  deactivated_reason: string | null
}

interface Change { action: string, before: Partial<Webhook> | null }

/**
 * How a webhook was at a time, by what the audit log has of its changes since. Undefined when that does not tell: what
 * is kept there is bounded, and masked where it might be a secret.
 */
export async function webhookAt (
  db: Kysely<Database>, now: WebhookState, at: number
): Promise<WebhookState | undefined> {
  const { rows } = await sql<Change>`
    select action, before from audit_log where resource = 'webhook' and resource_id = ${now.id} and at > ${at} order by sequence limit ${changesMax}`
    .execute(db)
  if (rows.length >= changesMax) return undefined
  const active = activeBefore(rows) ?? now.active
  const deactivated = {
    active,
    deactivated_reason: active
      ? null
      : rows.find(({ before }) => before?.active !== undefined)?.before?.deactivatedReason ?? now.deactivated_reason
  }
  // The platform's own entries say only that a webhook was switched off.
  const before = rows.find(change => change.before !== null)?.before
  if (before === undefined || before === null) return { ...now, ...deactivated }
  const { events, topics, filter, environments } = before
  if (events === undefined || topics === undefined || filter === undefined || environments === undefined) { return undefined }
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
