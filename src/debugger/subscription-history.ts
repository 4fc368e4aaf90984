import type { Kysely, Selectable } from 'kysely'
import type { Database, TraceSubscriptionsTable } from '../../db/tables.ts'
import type { Environment } from '../../schemas/scope.ts'
import { permissionsAt } from '../identity/access/permissions.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { parseFilter, type Filter } from '../delivery/matching/filter.ts'
import type { Span } from '../delivery/subscriber.ts'
import { NotFoundError } from '../errors.ts'
import type { Asker } from './asker.ts'
import { nodeGone, nodeGoneAfterMs } from './tracing/node-heartbeat.ts'
import type { SubscriptionRecords } from './tracing/subscription-records.ts'

/** Subscriptions of one credential that are examined, the latest first. */
const subscriptionsMax = 50

/** A live or ended subscription: its current state on this node, or the last record of another node. */
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
  /** When the subscription's node last reported, and whether it died with the subscription. */
  nodeSeenAt: number
  isNodeGone: boolean
}

export interface SubscriptionHistoryOptions {
  db: Kysely<Database>
  records: SubscriptionRecords
  /** The name of this node. */
  node: string
}

/** Reads past and present subscriptions of every node. */
export function createSubscriptionHistory ({ db, records, node }: SubscriptionHistoryOptions) {
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
    // The retention sweep records the end later.
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
    /** Throws NotFoundError `SUBSCRIPTION_NOT_FOUND`, also when the principal may not see the subscription. */
    async get ({ scope, mayLookInto }: Pick<Asker, 'scope' | 'mayLookInto'>, id: string): Promise<SubscriptionState> {
      await records.flush()
      const row = await db.selectFrom('trace_subscriptions').selectAll().where('id', '=', id).where(
        'application_id', '=', scope.applicationId
      ).executeTakeFirst()
      if (row === undefined || !mayLookInto(row.environment)) {
        throw new NotFoundError(
          'SUBSCRIPTION_NOT_FOUND',
          `Subscription not found: ${id}. It never existed, or its record has expired`
        )
      }
      const [state] = await toStates([row])
      return state as SubscriptionState
    },

    /** Returns the subscriptions of a principal in the scope, the latest first. */
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
export type SubscriptionHistory = ReturnType<typeof createSubscriptionHistory>
