import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Condition, RouteAnswer, RouteRequest } from '../../schemas/debugger.ts'
import type { Scope } from '../../schemas/scope.ts'
import { permissionsAt } from '../identity/access/permissions.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { parseFilter, matches, type Filter } from '../delivery/matching/filter.ts'
import type { Hub } from '../delivery/hub.ts'
import type { ClientSubscription } from '../delivery/subscriber.ts'
import type { Probe } from '../delivery/topic-feed.ts'
import { ForbiddenError } from '../errors.ts'
import { encodeJson } from '../foundation/json.ts'
import type { SchemaVersions } from '../registry/schemas/versions.ts'
import { existsByItself, isReserved, typeOfEventsOn } from '../registry/topics/topic-names.ts'
import type { Topics } from '../registry/topics/topics.ts'
import type { Within } from '../webhooks/endpoint-rows.ts'
import type { Asker } from './asker.ts'
import { nodeGoneAfterMs } from './tracing/node-heartbeat.ts'
import type { SubscriptionRecords } from './tracing/subscription-records.ts'
import { askFilter, askPermission, askTopic, type Asked } from './verdict.ts'

/** Limits: subscriptions of each kind in an answer, and subscriptions of other nodes that are checked. */
const listedMax = 100
const elsewhereMax = 5000

/** Predicts which webhooks an event would go to. */
export interface WebhookRouter {
  route (
    scope: Scope, within: Within, event: { topic: string, type: EventType, payload: string }
  ): Promise<{ webhookId: string, matches: boolean, conditions: Condition[] }[]>
}

export interface RouterOptions {
  db: Kysely<Database>
  hub: Hub
  topics: Topics
  schemas: SchemaVersions
  records: SubscriptionRecords
  webhooks: WebhookRouter
  node: string
}

const nobody: Probe = { matched: [], matchedCount: 0, unmatched: [], unmatchedCount: 0 }

interface Judged {
  subscriptionId: string
  subscribedTo: string
  node: string
  socketId: string
  matches: boolean
  conditions: Condition[]
}

/** Predicts what would happen to an event, without storing or sending anything. */
export function createRouter ({ db, hub, topics, schemas, records, webhooks, node }: RouterOptions) {
  /**
   * Checks the subscriptions of this node: those in the index of the topic's feed, and pattern subscriptions that
   * have not reached the topic yet.
   */
  function here (scope: Scope, topic: string, value: unknown): { matched: number, filtered: number, judged: Judged[] } {
    const watching = hub.watches.watching(scope).filter(watcher => watcher.matches(topic) && !watcher.has(topic))
      .flatMap(({ id }) => records.find(id) ?? []).map(live => judgeLive(live, topic, value))
    const matching = watching.filter(one => one.matches).length
    const { matched, matchedCount, unmatched, unmatchedCount } =
      hub.feedOf(scope, topic)?.probe({ value }, listedMax) ?? nobody
    return {
      matched: matchedCount + matching,
      filtered: unmatchedCount + watching.length - matching,
      judged: [...[...matched, ...unmatched].map(({ whole }) => judgeLive(whole, topic, value)), ...watching]
    }
  }

  function judgeLive (live: ClientSubscription, topic: string, value: unknown): Judged {
    const { id, subscriber, topic: subscribedTo, filter } = live
    const permitted = permissionsAt(subscriber.principal, subscriber.scope).subscribe
    return judge({ id, socketId: subscriber.id, node, topic: subscribedTo, filter, permitted }, topic, value)
  }

  /** Checks the live subscriptions of other nodes, from their records. */
  async function elsewhere (scope: Scope, topic: string, value: unknown): Promise<Judged[]> {
    const rows = await db.selectFrom('trace_subscriptions as s').innerJoin('trace_nodes as n', 'n.id', 's.node')
      .select(['s.id', 's.node', 's.socket_id', 's.topic', 's.filter', 's.permissions'])
      .where('n.seen_at', '>', Date.now() - nodeGoneAfterMs).where('s.node', '<>', node).where('s.ended_at', 'is', null)
      .where('s.application_id', '=', scope.applicationId).where('s.environment', '=', scope.environment).limit(
        elsewhereMax
      ).execute()
    return rows.filter(row => askTopic(row.topic, topic).holds).map(row =>
      judge(
        {
          id: row.id, socketId: row.socket_id, node: row.node, topic: row.topic,
          filter: row.filter === null ? undefined : parseFilter(JSON.parse(row.filter) as Record<string, unknown>),
          permitted: new TopicPatterns(JSON.parse(row.permissions) as string[])
        },
        topic,
        value
      )
    )
  }

  async function check (scope: Scope, name: string, payload: unknown): Promise<RouteAnswer['schema']> {
    const version = await topics.activeSchemaVersion(scope, name)
    if (version === null) return { version, valid: true, errors: [] }
    return await schemas.validate(scope, name, { payload, version }) as RouteAnswer['schema']
  }

  return {
    /**
     * Throws ValidationError for a payload that no event may have, and ForbiddenError for a topic that the principal
     * may not read.
     */
    async route (
      { scope, within, maySee }: Pick<Asker, 'scope' | 'within' | 'maySee'>,
      { topic: name, payload, type }: RouteRequest
    ): Promise<RouteAnswer> {
      // Trying payloads would reveal other subscribers' filters, and together with a trace the payload of an event.
      if (!maySee(name)) {
        throw new ForbiddenError(
          'PERMISSION_DENIED',
          `Reading the topic requires the permission subscribe:${name.slice(0, 300)}`
        )
      }
      const text = encodeJson(payload, '/payload')
      const isOwn = isReserved(name)
      const exists = isOwn ? existsByItself(name) : await topics.isRegistered(scope, name)
      const schema = await check(scope, name, payload)
      const [local, others, hooks] = [
        here(scope, name, payload),
        await elsewhere(scope, name, payload),
        await webhooks.route(scope, within, { topic: name, type: type ?? typeOfEventsOn(name), payload: text })
      ]
      const othersMatched = others.filter(one => one.matches).length
      return {
        topic: { name, exists, isOwn },
        schema,
        accepted: exists && schema.valid,
        matched: local.matched + othersMatched,
        filtered: local.filtered + others.length - othersMatched,
        subscriptions: [...first(local.judged, others, true), ...first(local.judged, others, false)],
        webhooks: hooks
      }
    }
  }
}
export type Router = ReturnType<typeof createRouter>

const first = (local: readonly Judged[], others: readonly Judged[], isMatch: boolean): Judged[] =>
  [...local, ...others].filter(one => one.matches === isMatch).slice(0, listedMax)

interface Subscribed {
  id: string
  socketId: string
  node: string
  topic: string
  filter: Filter | undefined
  permitted: TopicPatterns
}

function judge (
  { id, socketId, node, topic: subscribedTo, filter, permitted }: Subscribed, topic: string, value: unknown
): Judged {
  const asked: Asked[] = [askTopic(subscribedTo, topic), askPermission(permitted, topic), ...askFilter(filter, value)]
  return {
    subscriptionId: id,
    subscribedTo,
    node,
    socketId,
    matches: permitted.covers(topic) && matches(filter, value),
    conditions: asked.map(({ cause, otherwise, ...condition }) => condition)
  }
}
