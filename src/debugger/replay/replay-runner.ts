import { setTimeout as delay } from 'node:timers/promises'
import { sql, type Kysely, type Selectable } from 'kysely'
import type pg from 'pg'
import type { Database, ReplaysTable } from '../../../db/tables.ts'
import { createLeases, HeldLeases, isFreeSql, type Lease } from '../../cluster/leases.ts'
import type { Hub } from '../../delivery/hub.ts'
import { isDatabaseUnavailable } from '../../errors.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { EventLog } from '../../events/log.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Scope } from '../../../schemas/scope.ts'

/** Interval of steps while a replay is open, and interval of polls otherwise. */
const stepMs = 100
const idleMs = 1000
/** Limit of events per step, at any rate. */
const stepEventsMax = 1000
/** A leader that has not renewed its lease for this long is replaced. */
const leaseMs = 10_000
/** How long after its end the nodes still send their part of a replay. */
const lingerMs = 30_000
const replaysAtOnce = 500

/** Creates deliveries for stored events, in the transaction that advances the replay. */
export interface WebhookReplayer {
  replay (
    client: pg.ClientBase, scope: Scope, events: readonly LoggedEvent[],
    replay: { id: string, webhookId: string | null }
  ): Promise<number>
  /** Call once the deliveries are committed. */
  wake (): void
}

export interface ReplayRunnerOptions {
  db: Kysely<Database>
  pool: pg.Pool
  log: EventLog
  hub: Hub
  webhooks: WebhookReplayer
  metrics: Metrics
  node: string
  /** The clock that all nodes share. */
  now: () => number
  logger: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

type Row = Omit<Selectable<ReplaysTable>, 'events' | 'lease_owner' | 'lease_expires_at' | 'lease_until'> & {
  is_free: boolean
}
type Place = [topic: string, offset: number, id: string]

/** The state of this node's part of a replay. */
interface Part {
  /** The position up to which this node's sockets have received the events. */
  seen: number
  /** Events that the rate allows now. */
  allowance: number
  at: number
  places: Place[] | undefined
  /** Its events could not be read or sent. */
  hasFailed: boolean
}

/**
 * Sends stored events again. The node with the lease advances a replay's position at its rate and creates webhook
 * deliveries in the same transaction. Every node, including the leader, sends events up to that position to its own
 * sockets. After a restart, or on another node, the replay continues from the position. A socket that stays connected
 * misses no event and gets none twice.
 *
 * Only the holder of the lease writes the state and the position: each of these writes requires its fence. Every node
 * adds to the numbers of events that its own sockets were sent.
 */
export class ReplayRunner {
  readonly #options: ReplayRunnerOptions
  readonly #startedAt: number
  readonly #leases: HeldLeases
  readonly #parts = new Map<string, Part>()
  readonly #stop = new AbortController()
  #woken = new AbortController()
  #running: Promise<void> | undefined
  #isFailing = false

  constructor (options: ReplayRunnerOptions) {
    this.#options = options
    const { pool, node, now } = options
    this.#startedAt = now()
    this.#leases = new HeldLeases(createLeases({ pool, table: 'replays', keyColumn: 'id', node, leaseMs }))
  }

  start (): void {
    this.#running ??= this.#run()
  }

  wake (): void {
    this.#woken.abort()
  }

  /** Releases the leases, so that other nodes continue at once. */
  async close (): Promise<void> {
    this.#stop.abort()
    this.#woken.abort()
    await this.#running
    await this.#leases.releaseAll()
  }

  async #run (): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let isBusy = false
      try {
        isBusy = await this.#step()
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing && !this.#stop.signal.aborted) this.#options.logger.warn({ err }, 'replays.step_failed')
        this.#isFailing = true
      }
      await delay(isBusy ? stepMs : idleMs, undefined, { signal: this.#woken.signal, ref: false }).catch(() => {})
      if (!this.#stop.signal.aborted && this.#woken.signal.aborted) this.#woken = new AbortController()
    }
  }

  /** Returns whether a replay is open. */
  async #step (): Promise<boolean> {
    const { db, now } = this.#options
    const rows: Row[] = await db.selectFrom('replays').select(columns)
      .select(sql<boolean>`${sql.raw(isFreeSql)}`.as('is_free'))
      .where(eb => eb.or([eb('finished_at', 'is', null), eb('finished_at', '>', now() - lingerMs)]))
      .orderBy('created_at').limit(replaysAtOnce).execute()
    for (const id of this.#parts.keys()) if (!rows.some(row => row.id === id)) this.#parts.delete(id)
    const open = new Set(rows.filter(row => row.finished_at === null).map(row => row.id))
    for (const id of this.#leases.keys) if (!open.has(id)) await this.#leases.release(id)
    let isBusy = false
    for (const row of rows) {
      if (this.#stop.signal.aborted) return false
      const isOpen = row.finished_at === null
      if (isOpen) isBusy = true
      const part = this.#partOf(row)
      try {
        if (!part.hasFailed) {
          await this.#sendUpTo(row, row.position)
          if (isOpen) await this.#lead(row)
        }
      } catch (err) {
        if (isDatabaseUnavailable(err)) throw err
        this.#options.logger.warn({ err, replayId: row.id }, 'replay.failed')
        part.hasFailed = true
      }
      if (part.hasFailed && isOpen) await this.#fail(row)
    }
    return isBusy
  }

  /** Advances the position if this node holds the lease or can acquire it. */
  async #lead (row: Row): Promise<void> {
    const part = this.#partOf(row)
    const count = this.#allowed(part, row.rate_per_second)
    const lease = await this.#hold(row)
    if (lease === undefined) return
    // A row that was read under this lease is current: only its holder changes it.
    const isCurrent = row.fence === lease.fence && row.state === 'running'
    const led = isCurrent ? row : await this.#begin(lease)
    if (led === undefined || (count === 0 && led.total > 0)) return
    const read = await this.#read(led, part, led.position, count)
    if (!await this.#advance(led, read)) return
    part.allowance -= count
    if (part.seen === led.position) await this.#send(led, part, read)
    else await this.#sendUpTo(led, read.position)
    if (read.isOver) await this.#finish(led)
  }

  async #hold ({ id, is_free: isFree }: Row): Promise<Lease | undefined> {
    return isFree || this.#leases.has(id) ? await this.#leases.hold(id) : undefined
  }

  /** Returns the row as the previous leader left it; undefined if the lease is lost or the replay has ended. */
  async #begin ({ key: id, fence }: Lease): Promise<Row | undefined> {
    const { db, node, now, logger } = this.#options
    const led = await db.updateTable('replays')
      .set({ state: 'running', started_at: sql<number>`coalesce(started_at, ${now()}::bigint)` })
      .where('id', '=', id).where('fence', '=', fence).where('lease_owner', '=', node)
      .where('finished_at', 'is', null)
      .returning([...columns, sql<boolean>`false`.as('is_free')]).executeTakeFirst()
    if (led !== undefined) {
      logger.info({ replayId: id, position: led.position, total: led.total }, 'replay.led')
    }
    return led
  }

  /**
   * Creates webhook deliveries and advances the position in one transaction. Returns false when the lease is lost or
   * the replay has ended.
   */
  async #advance (row: Row, { events, position }: Read): Promise<boolean> {
    const { pool, node, webhooks, metrics } = this.#options
    const isForWebhooks = row.target !== 'subscribers' && events.length > 0
    const done = row.done + events.length
    const client = await pool.connect()
    let deliveries = 0
    try {
      await client.query('begin')
      // Runs first: a node that has lost the lease waits for the current holder here, and creates no deliveries.
      const { rowCount } = await client.query({
        name: 'replay_advance', text: advanceSql, values: [row.id, row.fence, node, position, done]
      })
      if (rowCount === 1 && isForWebhooks) {
        deliveries = await webhooks.replay(client, scopeOf(row), events, { id: row.id, webhookId: row.webhook_id })
        await client.query('update replays set webhook_deliveries = webhook_deliveries + $2 where id = $1', [
          row.id, deliveries
        ])
      }
      await client.query('commit')
      client.release()
      if (rowCount !== 1) return false
    } catch (error) {
      client.release(true)
      throw error
    }
    if (deliveries > 0) {
      metrics.eventsReplayed.inc({ target: 'webhooks' }, deliveries)
      webhooks.wake()
    }
    return true
  }

  /** Sends the events up to the position to this node's sockets. */
  async #sendUpTo (row: Row, position: number): Promise<void> {
    const part = this.#partOf(row)
    if (row.target === 'webhooks' || row.state === 'cancelled') part.seen = position
    while (part.seen < position && !this.#stop.signal.aborted) {
      const read = await this.#read(row, part, part.seen, stepEventsMax, position)
      await this.#send(row, part, read)
    }
  }

  async #send (row: Row, part: Part, { events, position }: Read): Promise<void> {
    const { hub, db, metrics } = this.#options
    part.seen = Math.max(part.seen, position)
    if (row.target === 'webhooks') return
    const { sent, passedOver } = hub.replay(events.map(event => event.withMeta({ replayOf: row.id })))
    if (sent + passedOver === 0) return
    metrics.eventsReplayed.inc({ target: 'subscribers' }, sent)
    await db.updateTable('replays').set({ sent: sql`sent + ${sent}`, passed_over: sql`passed_over + ${passedOver}` })
      .where('id', '=', row.id).execute()
  }

  /**
   * Reads the next events after a position and none beyond `until`. The position is an offset, or for a list of events
   * the number already read.
   */
  async #read (row: Row, part: Part, position: number, count: number, until = Number.MAX_SAFE_INTEGER): Promise<Read> {
    const { log } = this.#options
    const scope = scopeOf(row)
    if (row.topic === null) {
      part.places ??= await this.#places(row.id)
      const places = part.places.slice(position, Math.min(position + count, until))
      const events = await log.pick(scope, places.map(([topic, offset]) => ({ topic, offset })))
      const ids = new Set(places.map(([, , id]) => id))
      const next = position + places.length
      return { events: events.filter(({ id }) => ids.has(id)), position: next, isOver: next >= row.total }
    }
    const last = Math.min(row.to_offset ?? 0, until)
    const page = position >= last || count === 0
      ? []
      : (await log.page(scope, row.topic, { after: position, limit: count })).filter(({ offset }) => offset <= last)
    const next = page.at(-1)?.offset ?? last
    const [from, to] = [row.from_time ?? 0, row.to_time ?? Number.MAX_SAFE_INTEGER]
    return {
      events: page.filter(({ timestamp }) => timestamp >= from && timestamp <= to), position: next,
      isOver: next >= (row.to_offset ?? 0)
    }
  }

  async #places (id: string): Promise<Place[]> {
    const row = await this.#options.db.selectFrom('replays').select('events').where('id', '=', id).executeTakeFirst()
    return JSON.parse(row?.events ?? '[]') as Place[]
  }

  /**
   * Marks the replay as done after this node's sockets have received it, so that its counts are complete. If this node
   * dies before, the next leader does so.
   */
  async #finish ({ id, fence }: Row): Promise<void> {
    const { db, node, now } = this.#options
    await db.updateTable('replays').set({ state: 'done', finished_at: now(), missing: sql<number>`total - done` })
      .where('id', '=', id).where('fence', '=', fence).where('lease_owner', '=', node)
      .where('finished_at', 'is', null).execute()
  }

  /** Ends a replay that this node leads or can lead. While another node leads it, only this node's part has failed. */
  async #fail (row: Row): Promise<void> {
    const { db, node, now } = this.#options
    const lease = await this.#hold(row)
    if (lease === undefined) return
    await db.updateTable('replays')
      .set({
        state: 'failed', finished_at: now(), message: 'The replay failed; see the log of the server for the reason'
      })
      .where('id', '=', row.id).where('fence', '=', lease.fence).where('lease_owner', '=', node)
      .where('finished_at', 'is', null).execute()
  }

  /** A node that started after the replay skips the events that were sent before it started. */
  #partOf (row: Row): Part {
    let part = this.#parts.get(row.id)
    if (part === undefined) {
      const start = row.topic === null ? 0 : Math.max(0, (row.from_offset ?? 0) - 1)
      part = {
        seen: row.created_at >= this.#startedAt ? start : row.position, allowance: 1, at: performance.now(),
        places: undefined, hasFailed: false
      }
      this.#parts.set(row.id, part)
    }
    return part
  }

  /** Returns how many events may be sent now. Allowance unused for two steps expires. */
  #allowed (part: Part, ratePerSecond: number): number {
    const now = performance.now()
    const most = Math.max(1, ratePerSecond * 2 * stepMs / 1000)
    part.allowance = Math.min(most, part.allowance + (now - part.at) * ratePerSecond / 1000)
    part.at = now
    return Math.min(stepEventsMax, Math.floor(part.allowance))
  }
}

interface Read { events: LoggedEvent[], position: number, isOver: boolean }

const scopeOf = (row: Row): Scope => ({ applicationId: row.application_id, environment: row.environment })

/** The owner counts as well as the fence: a node from before migration 0021 takes a lease without a new fence. */
const advanceSql = `
  update replays set position = $4, done = $5
  where id = $1 and fence = $2 and lease_owner = $3 and finished_at is null`

const columns = [
  'id',
  'application_id',
  'environment',
  'target',
  'webhook_id',
  'topic',
  'from_offset',
  'to_offset',
  'from_time',
  'to_time',
  'rate_per_second',
  'total',
  'position',
  'done',
  'state',
  'sent',
  'passed_over',
  'missing',
  'webhook_deliveries',
  'requested_by',
  'message',
  'created_at',
  'started_at',
  'finished_at',
  'fence'
] as const
