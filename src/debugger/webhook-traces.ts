import { sql, type Kysely } from 'kysely'
import type pg from 'pg'
import type { Database } from '../../db/tables.ts'
import type { WebhookDeliveryTrace } from '../../schemas/debugger.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import { ConflictError } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { createGatherer } from '../gather.ts'
import { EndpointMatch, Listening } from '../webhooks/endpoint-match.ts'
import type { Endpoints, Within } from '../webhooks/endpoints.ts'
import { deliveryId } from '../webhooks/outlet.ts'
import type { Replay } from '../webhooks/replay.ts'
import type { Asker } from './asker.ts'
import type { WebhookExplainer } from './explain.ts'
import type { WebhookReplayer } from './replay-runner.ts'
import type { WebhookRouter } from './route.ts'
import type { WebhookCounts } from './traced-event.ts'
import type { WebhookTraces } from './trace-reader.ts'
import { askFilter, type Asked } from './verdict.ts'
import { webhookAt, type WebhookState } from './webhook-past.ts'

/** Webhooks of an application that are looked at, and deliveries of one event that are shown. */
const webhooksMax = 1000
const deliveriesMax = 200

export interface WebhookTracesOptions {
  db: Kysely<Database>
  endpoints: Endpoints
  replay: Replay
  /** Returns when what was committed before the call is there as deliveries. */
  catchUp (): Promise<void>
  /** How long a delivery that was accepted is kept at least. */
  keptMs: number
  /** Until when this node leaves a webhook's endpoint alone because it fails. */
  pausedUntil (webhookId: string): number | undefined
  wake (): void
}

const columns = ['id', 'events', 'topics', 'filter', 'environments', 'active', 'deactivated_reason', 'created_at', 'updated_at'] as const

const iso = (time: number): string => new Date(time).toISOString()
const notRouted = (message: string): Asked => ({ condition: 'routed', holds: false, cause: 'NOT_ROUTED', message })
const notKept = (message: string): Asked => ({ condition: 'routed', holds: false, cause: 'NOT_KEPT', otherwise: 'unknown', message })

/** What an event is to webhooks. */
interface Subject { type: EventType, topic: string, payload: string }

/** What webhooks are owed of events, would be, and why or why not: by the matching that the writer does. */
export function createWebhookTraces ({ db, endpoints, replay, catchUp, keptMs, pausedUntil, wake }: WebhookTracesOptions) {
  // Many streams ask at once, and often.
  const catchUpTogether = createGatherer<'outbox', undefined>({ nameOf: key => key, load: async keys => { await catchUp(); return keys.map(() => undefined) } })

  async function counts (scope: Scope, eventIds: readonly string[]): Promise<Map<string, WebhookCounts>> {
    const found = new Map<string, WebhookCounts>()
    if (eventIds.length === 0) return found
    const { rows } = await sql<{ event_id: string, state: keyof WebhookCounts, count: number }>`
      select event_id, state, count(*) as count from webhook_deliveries
      where event_id = any(${eventIds}) and application_id = ${scope.applicationId} and environment = ${scope.environment} group by event_id, state`.execute(db)
    for (const { event_id: id, state, count } of rows) {
      const known = found.get(id) ?? { pending: 0, delivered: 0, dead: 0 }
      known[state] += count
      found.set(id, known)
    }
    return found
  }

  async function deliveries (scope: Scope, eventId: string, webhookId?: string): Promise<WebhookDeliveryTrace[]> {
    let query = db.selectFrom('webhook_deliveries').selectAll()
      .where('event_id', '=', eventId).where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).orderBy('seq').limit(deliveriesMax)
    if (webhookId !== undefined) query = query.where('webhook_id', '=', webhookId)
    const rows = await query.execute()
    const attempts = rows.length === 0
      ? []
      : await db.selectFrom('webhook_attempts').selectAll().where('delivery_id', 'in', rows.map(({ id }) => id)).orderBy('seq').execute()
    return rows.map(row => ({
      deliveryId: deliveryId(row.id),
      webhookId: row.webhook_id,
      state: row.state,
      createdAt: row.created_at,
      nextAttemptAt: row.state === 'pending' ? row.next_at : null,
      settledAt: row.settled_at,
      replayOf: row.replay_of,
      attempts: attempts.filter(attempt => attempt.delivery_id === row.id).map(attempt => ({
        at: attempt.attempted_at, attempt: attempt.attempt, success: attempt.success, statusCode: attempt.status_code, error: attempt.error, durationMs: attempt.duration_ms
      }))
    }))
  }

  /** Each thing that the writer's matching looks at, and what it says. */
  function ask (row: WebhookState, { environment }: Scope, { type, topic, payload }: Subject, isHidden: boolean): Asked[] {
    const { environments, events, topics } = row
    const listening = new Listening(row)
    const [isOfEnvironment, isListed, isTakenIn] = [listening.isOf(environment), listening.lists(type), listening.takesIn(topic)]
    return [
      {
        condition: 'active', holds: row.active, found: row.deactivated_reason ?? (row.active ? 'active' : 'inactive'), cause: 'WEBHOOK_INACTIVE', message: row.active ? 'The webhook is active' : `The webhook is switched off${row.deactivated_reason === null ? '' : `: ${row.deactivated_reason}`}`
      },
      {
        condition: 'environment', holds: isOfEnvironment, wanted: environments ?? 'every environment', found: environment, cause: 'ENVIRONMENT_DIFFERS', message: isOfEnvironment ? `The webhook fires for ${environment}` : `The webhook fires for ${environments?.join(', ')}, not for ${environment}`
      },
      {
        condition: 'event_type', holds: isListed, wanted: events, found: type, cause: 'EVENT_TYPE_NOT_LISTED', message: isListed ? `The webhook fires for ${type}` : `The webhook fires for ${events.join(', ')}, not for ${type}`
      },
      {
        condition: 'topic', holds: isTakenIn, wanted: topics ?? 'every topic', found: topic, cause: 'TOPIC_NOT_MATCHED', message: isTakenIn ? `The webhook takes in ${topic}` : `The webhook takes in ${topics?.join(', ')}, not ${topic}`
      },
      ...askFilter(listening.filter, JSON.parse(payload), isHidden)
    ]
  }

  /** Of several deliveries to a webhook, replays among them, the one that came furthest. */
  function askDelivery (all: readonly WebhookDeliveryTrace[], webhookId: string, isActive: boolean): Asked {
    const best = all.find(({ state }) => state === 'delivered') ?? all.find(({ state }) => state === 'pending') ?? all.at(-1) as WebhookDeliveryTrace
    const last = best.attempts.at(-1)
    const tried = `${best.attempts.length} attempts${last === undefined ? '' : `, the last at ${iso(last.at)}: ${last.error ?? last.statusCode ?? ''}`}`
    const found = { deliveryId: best.deliveryId, state: best.state, attempts: best.attempts.length, statusCode: last?.statusCode ?? null, error: last?.error ?? null, nextAttemptAt: best.nextAttemptAt }
    switch (best.state) {
      case 'delivered': return { condition: 'delivery', holds: true, found, message: `The endpoint has accepted it: ${tried}` }
      case 'dead': return { condition: 'delivery', holds: false, found, cause: 'DELIVERY_DEAD', message: `It was given up: ${tried}` }
    }
    const until = pausedUntil(webhookId)
    if (!isActive) return { condition: 'delivery', holds: false, found, cause: 'WEBHOOK_INACTIVE', otherwise: 'pending', message: `It waits until the webhook is switched on: ${tried}` }
    if (until === undefined) return { condition: 'delivery', holds: false, found, cause: 'DELIVERY_PENDING', otherwise: 'pending', message: `It waits for its next attempt: ${tried}` }
    return { condition: 'circuit', holds: false, found, cause: 'CIRCUIT_OPEN', otherwise: 'pending', message: `The endpoint fails, and is left alone until ${iso(until)}: ${tried}` }
  }

  async function explain ({ scope, within, maySee }: Pick<Asker, 'scope' | 'within' | 'maySee'>, webhookId: string, event: LoggedEvent): Promise<Asked[]> {
    await endpoints.get(scope, webhookId, within)
    const row = await db.selectFrom('webhooks').select(columns).where('id', '=', webhookId).where('application_id', '=', scope.applicationId).executeTakeFirstOrThrow()
    await catchUpTogether('outbox')
    const owed = await deliveries(scope, event.id, webhookId)
    // What it was owed it was owed by the webhook as it was then.
    if (owed.length > 0) return [{ condition: 'routed', holds: true, found: owed.length, message: 'The event was owed to the webhook' }, askDelivery(owed, webhookId, row.active)]
    if (row.created_at > event.timestamp) return [notRouted(`The webhook was made at ${iso(row.created_at)}, after the event of ${iso(event.timestamp)}`)]
    const was = await webhookAt(db, row, event.timestamp)
    if (was === undefined) return [notKept('The webhook was changed after the event, and what it was before is not kept')]
    const changed = row.updated_at > event.timestamp ? `, as it was then (it was changed at ${iso(row.updated_at)})` : ''
    return [
      ...ask(was, scope, event, !maySee(event.topic)),
      Date.now() - event.timestamp < keptMs
        ? notRouted(`It is for the webhook${changed}; yet nothing was owed to it, because it was just being made, changed or switched on`)
        : notKept(`It is for the webhook${changed}; whether it was delivered is not kept for so long`)
    ]
  }

  return {
    catchUp: () => catchUpTogether('outbox'),
    counts,
    deliveries: (scope, eventId) => deliveries(scope, eventId),
    explain,

    async route (scope, within, event) {
      const rows = await db.selectFrom('webhooks').select(columns).where('application_id', '=', scope.applicationId).orderBy('created_at').orderBy('id').limit(webhooksMax).execute()
      const visible = rows.filter(({ environments }) => within === undefined || (environments?.length === 1 && environments[0] === within))
      const matched = new Set<string>()
      // The writer's own matching, of those that it would have in memory.
      new EndpointMatch(visible.filter(({ active }) => active))
        .match(scope, { ...event, source: 'api', key: null, schemaVersion: null }, id => matched.add(id))
      return visible.map(row => ({
        webhookId: row.id, matches: matched.has(row.id), conditions: ask(row, scope, event, false).map(({ cause, otherwise, ...condition }) => condition)
      }))
    },

    /** Throws NotFoundError `WEBHOOK_NOT_FOUND`, and ConflictError `WEBHOOK_INACTIVE`: what is switched off is sent nothing. */
    async requireActive (scope: Scope, webhookId: string, within: Within): Promise<void> {
      const { active } = await endpoints.get(scope, webhookId, within)
      if (!active) throw new ConflictError('WEBHOOK_INACTIVE', `The webhook is switched off: ${webhookId}; activate it first`)
    },

    replay: async (client: pg.ClientBase, scope: Scope, events: readonly LoggedEvent[], { id, webhookId }: { id: string, webhookId: string | null }) =>
      await replay.enqueue(scope, events, { replayId: id, webhookId: webhookId ?? undefined }, client),
    wake
  } satisfies WebhookTraces & WebhookExplainer & WebhookRouter & WebhookReplayer & { requireActive: unknown }
}
