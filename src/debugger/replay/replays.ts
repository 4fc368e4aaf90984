import type { Kysely, Selectable } from 'kysely'
import type { Database, ReplaysTable } from '../../../db/tables.ts'
import { replayList, type Replay, type ReplayQuery, type ReplayRequest } from '../../../schemas/debugger.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import { NotFoundError, RateLimitError } from '../../errors.ts'
import type { EventLog, SpanBounds } from '../../events/log.ts'
import { randomId } from '../../foundation/ids.ts'
import { invalid } from '../../foundation/json.ts'
import { isValue } from '../../foundation/lists/filters.ts'
import { List, nullableText, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import type { Topics } from '../../registry/topics/topics.ts'
import type { Within } from '../../webhooks/endpoint-rows.ts'
import { eventNotFound } from '../subject.ts'
import type { TraceReader } from '../trace-reader.ts'

/** Limit of unfinished replays per scope. */
const openMax = 20
const rateDefault = 100

export interface ReplaysOptions {
  db: Kysely<Database>
  log: EventLog
  topics: Topics
  reader: TraceReader
  /** Throws NotFoundError `WEBHOOK_NOT_FOUND`, and ConflictError `WEBHOOK_INACTIVE`. */
  requireActiveWebhook (scope: Scope, webhookId: string, within: Within): Promise<void>
  /** The clock that all nodes share. */
  now: () => number
  /** Wakes the runner, because a replay was created. */
  onCreated (): void
}

/** The principal that requests a replay. */
export interface Requester {
  id: string
  within: Within
  /** Throws ForbiddenError unless the principal may publish to the topic. */
  authorize (topic: string): void
  /** Whether the principal may see payloads of the topic. */
  maySee (topic: string): boolean
}

/** The principal that reads replays. */
export type Onlooker = Pick<Requester, 'maySee'>

/** A replay without its lease. */
type Row = Omit<Selectable<ReplaysTable>, 'fence' | 'lease_owner' | 'lease_expires_at' | 'lease_until'>

/** The events to send again. */
type Selection = Pick<
  Row,
  'topic' | 'from_offset' | 'to_offset' | 'from_time' | 'to_time' | 'events' | 'total' | 'position'
>

/** Creates, reads and cancels replays. The runner carries them out. */
export function createReplays (
  { db, log, topics, reader, requireActiveWebhook, now: clock, onCreated }: ReplaysOptions
) {
  async function selectEvents (scope: Scope, eventIds: readonly string[]): Promise<Selection> {
    const found = await reader.findAll(scope, eventIds)
    const places = eventIds.map(id => {
      const event = found.get(id)
      if (event === undefined || event.offset === null) {
        throw eventNotFound(`${id}. To replay an event without a trace, give its topic and offset`)
      }
      return [event.stored.topic, event.offset, id]
    })
    return {
      topic: null, from_offset: null, to_offset: null, from_time: null, to_time: null, events: JSON.stringify(places),
      total: places.length, position: 0
    }
  }

  async function selectSpan (scope: Scope, topic: string, bounds: SpanBounds): Promise<Selection> {
    await topics.requireTopic(scope, topic)
    const { count, first, last } = await log.span(scope, topic, bounds)
    return {
      topic,
      from_offset: first,
      to_offset: last,
      from_time: bounds.from ?? null,
      to_time: bounds.to ?? null,
      events: null,
      total: count,
      position: Math.max(0, first - 1)
    }
  }

  async function select (scope: Scope, requester: Requester, request: ReplayRequest): Promise<Selection> {
    const { eventIds, topic, fromOffset, toOffset, from, to } = request
    const bounds = { fromOffset, toOffset, from, to }
    if (eventIds === undefined) {
      if (topic === undefined) throw invalid('/eventIds', 'is required unless you give /topic')
      if (Object.values(bounds).every(bound => bound === undefined)) {
        throw invalid('/fromOffset', 'or one of /toOffset, /from and /to is required with /topic')
      }
      requester.authorize(topic)
      return await selectSpan(scope, topic, bounds)
    }
    if (topic !== undefined || Object.values(bounds).some(bound => bound !== undefined)) {
      throw invalid('/eventIds', 'must not be combined with /topic, /fromOffset, /toOffset, /from or /to')
    }
    const selection = await selectEvents(scope, eventIds)
    for (const name of topicsOf(selection)) requester.authorize(name)
    return selection
  }

  const ofScope = (scope: Scope, from: Kysely<Database> = db) => from.selectFrom('replays').selectAll()
    .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment)

  return {
    /**
     * Creates a replay; a dry run only counts. Throws ValidationError, NotFoundError (`EVENT_NOT_FOUND`,
     * `TOPIC_NOT_FOUND`, `WEBHOOK_NOT_FOUND`), ForbiddenError, ConflictError `WEBHOOK_INACTIVE` or RateLimitError
     * `REPLAY_LIMIT`.
     */
    async create (scope: Scope, requester: Requester, request: ReplayRequest, by: Origin): Promise<Replay> {
      const { target, webhookId, ratePerSecond = rateDefault, dryRun = false } = request
      if (webhookId !== undefined) {
        if (target === 'subscribers') throw invalid('/webhookId', 'must not be combined with the target `subscribers`')
        await requireActiveWebhook(scope, webhookId, requester.within)
      }
      const selection = await select(scope, requester, request)
      const now = clock()
      const values = {
        id: dryRun ? '' : randomId('rpl'),
        application_id: scope.applicationId,
        environment: scope.environment,
        target,
        webhook_id: webhookId ?? null,
        ...selection,
        rate_per_second: ratePerSecond,
        state: 'pending' as const,
        requested_by: requester.id,
        message: null,
        created_at: now,
        started_at: null,
        finished_at: null,
        lease_owner: null
      }
      if (dryRun) {
        return {
          ...toReplay({
            ...values,
            done: 0,
            sent: 0,
            passed_over: 0,
            missing: 0,
            webhook_deliveries: 0
          }, requester),
          state: 'dry_run'
        }
      }
      const replay = await db.transaction().execute(async trx => {
        // Locks the application, so that the count stays correct.
        await trx.selectFrom('applications').select('id').where('id', '=', scope.applicationId).forNoKeyUpdate()
          .execute()
        const { count } = await trx.selectFrom('replays').select(({ fn }) => fn.countAll<number>().as('count'))
          .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
            'finished_at', 'is', null
          ).executeTakeFirstOrThrow()
        if (count >= openMax) {
          throw new RateLimitError(
            'REPLAY_LIMIT',
            `The scope has reached its limit of ${openMax} unfinished replays. Cancel one or wait until one is done`,
            { retryAfterS: 10 }
          )
        }
        const created = toReplay(
          await trx.insertInto('replays').values(values).returningAll().executeTakeFirstOrThrow(), requester
        )
        await record(trx, by, {
          action: 'replay.created', resourceId: created.id, place: scope, after: { ...request, total: created.total }
        })
        return created
      })
      onCreated()
      return replay
    },

    async get (scope: Scope, id: string, by: Onlooker): Promise<Replay> {
      const row = await ofScope(scope).where('id', '=', id).executeTakeFirst()
      if (row === undefined) throw replayNotFound(id)
      return toReplay(row, by)
    },

    list: async (
      scope: Scope, { state, target, topic, webhookId, ...query }: ReplayQuery, by: Onlooker
    ): Promise<PageOf<Replay>> =>
      await readPage(db, list, query, {
        from: ofScope(scope),
        filters: [
          isValue('state', state), isValue('target', target), isValue('topic', topic), isValue('webhook_id', webhookId)
        ],
        toItem: row => toReplay(row, by)
      }),

    /** Cancels a replay: sending stops within a moment. A finished replay stays as it is. */
    cancel: (scope: Scope, id: string, by: Origin, onlooker: Onlooker): Promise<Replay> =>
      db.transaction().execute(async trx => {
        const row = await ofScope(scope, trx).where('id', '=', id).forUpdate().executeTakeFirst()
        if (row === undefined) throw replayNotFound(id)
        if (row.finished_at !== null) return toReplay(row, onlooker)
        const cancelled = toReplay(
          await trx.updateTable('replays').set({ state: 'cancelled', finished_at: clock() }).where('id', '=', id)
            .returningAll().executeTakeFirstOrThrow(),
          onlooker
        )
        await record(trx, by, {
          action: 'replay.cancelled', resourceId: id, place: scope, before: { state: row.state, done: row.done },
          after: { state: cancelled.state, done: cancelled.done }
        })
        return cancelled
      })
  }
}
const list = new List(replayList, {
  columns: {
    createdAt: number('created_at'), topic: nullableText('topic'), requestedBy: text('requested_by'),
    message: nullableText('message')
  },
  identity: [text('id')]
})

export type Replays = ReturnType<typeof createReplays>

const replayNotFound = (id: string) => new NotFoundError('REPLAY_NOT_FOUND', `Replay not found: ${id}`)

const topicsOf = ({ topic, events }: Pick<Row, 'topic' | 'events'>): string[] =>
  topic !== null ? [topic] : [...new Set((JSON.parse(events ?? '[]') as [string][]).map(([name]) => name))]

/** Together with known filters, the number of recipients would reveal something about the payload. */
function toReplay (row: Row, { maySee }: Onlooker): Replay {
  const isSeen = topicsOf(row).every(maySee)
  return {
    id: row.id,
    state: row.state,
    target: row.target,
    webhookId: row.webhook_id,
    topic: row.topic,
    ratePerSecond: row.rate_per_second,
    total: row.total,
    done: row.done,
    sent: isSeen ? row.sent : null,
    passedOver: isSeen ? row.passed_over : null,
    missing: row.missing,
    webhookDeliveries: isSeen ? row.webhook_deliveries : null,
    requestedBy: row.requested_by,
    message: row.message,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at
  }
}
