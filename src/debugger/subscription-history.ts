import type { Kysely, Selectable } from 'kysely'
import type { Database, TraceSubscriptionsTable } from '../../db/tables.ts'
import type { Environment } from '../../schemas/scope.ts'
import { permissionsAt } from '../identity/access/permissions.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { parseFilter, type Filter } from '../delivery/matching/filter.ts'
import type { Span } from '../delivery/subscriber.ts'
import { NotFoundError } from '../errors.ts'
import type { Asker } from './asker.ts'
import { nodeGone, nodeGoneAfterMs } from './tracing/nodes.ts'
import type { SubscriptionRecords } from './tracing/subscription-records.ts'

/** Subscriptions of one credential that are looked at, the latest first. */
const subscriptionsMax = 50

/** A subscription that is, or was: on this node as it is by now, on another as that one has last written it down. */
export interface SubscriptionState {
  id: string
  environment: Environment
  topic: string
  permitted: TopicPatterns
  filter: Filter | undefined
  spans: Record<string, Span>
  isHere: boolean
  node: string
  startedAt: number
  endedAt: number | null
  endReason: string | null
  /** Of its node: when it last gave a sign of life, and whether it died with the subscription. */
  nodeSeenAt: number
  isNodeGone: boolean
}

export interface SubscriptionStatesOptions {
  db: Kysely<Database>
  records: SubscriptionRecords
  /** What this node is called. */
  node: string
}

/** Subscriptions of the past and the present, of every node. */
export function createSubscriptionStates ({ db, records, node }: SubscriptionStatesOptions) {
  async function toStates (rows: readonly Selectable<TraceSubscriptionsTable>[]): Promise<SubscriptionState[]> {
    if (rows.length === 0) return []
    const nodes = await db.selectFrom('trace_nodes').selectAll().where('id', 'in', [
      ...new Set(rows.map(row => row.node))
    ]).execute()
    const seenAt = new Map(nodes.map(({ id, seen_at: at }) => [id, at]))
    return rows.map(row => toState(row, seenAt.get(row.node) ?? 0))
  }

  function toState (row: Selectable<TraceSubscriptionsTable>, nodeSeenAt: number): SubscriptionState {
    const isOwn = row.node === node
    const live = isOwn ? records.find(row.id) : undefined
    // The sweep writes it down when it comes by.
    const isNodeGone = row.end_reason === nodeGone ||
      (row.ended_at === null && !isOwn && nodeSeenAt < Date.now() - nodeGoneAfterMs)
    const common = {
      id: row.id,
      environment: row.environment,
      topic: row.topic,
      node: row.node,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      endReason: row.end_reason,
      nodeSeenAt: isNodeGone ? row.ended_at ?? nodeSeenAt : nodeSeenAt,
      isNodeGone
    }
    if (live !== undefined) {
      const { subscriber: { principal, scope }, filter } = live
      return {
        ...common,
        endedAt: null,
        endReason: null,
        isNodeGone: false,
        isHere: true,
        permitted: permissionsAt(principal, scope).subscribe,
        filter,
        spans: live.spans()
      }
    }
    return {
      ...common,
      isHere: false,
      permitted: new TopicPatterns(JSON.parse(row.permissions) as string[]),
      filter: row.filter === null ? undefined : parseFilter(JSON.parse(row.filter) as Record<string, unknown>),
      spans: JSON.parse(row.spans) as Record<string, Span>
    }
  }

  return {
    /** Throws NotFoundError `SUBSCRIPTION_NOT_FOUND`, also for one that the asker may not know of. */
    async get ({ scope, mayLookInto }: Pick<Asker, 'scope' | 'mayLookInto'>, id: string): Promise<SubscriptionState> {
      await records.flush()
      const row = await db.selectFrom('trace_subscriptions').selectAll().where('id', '=', id).where(
        'application_id', '=', scope.applicationId
      ).executeTakeFirst()
      if (row === undefined || !mayLookInto(row.environment)) {
        throw new NotFoundError(
          'SUBSCRIPTION_NOT_FOUND',
          `Subscription not found: ${id}; there was none, or it ended so long ago that nothing is kept of it`
        )
      }
      const [state] = await toStates([row])
      return state as SubscriptionState
    },

    /** Of one principal in the scope, the latest first. */
    async of ({ scope }: Pick<Asker, 'scope'>, principalId: string): Promise<SubscriptionState[]> {
      await records.flush()
      const rows = await db.selectFrom('trace_subscriptions').selectAll()
        .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
          'principal_id', '=', principalId
        )
        .orderBy('started_at', 'desc').limit(subscriptionsMax).execute()
      return await toStates(rows)
    }
  }
}
export type SubscriptionStates = ReturnType<typeof createSubscriptionStates>
