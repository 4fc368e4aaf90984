import { setTimeout as delay } from 'node:timers/promises'
import { sql, type Kysely, type Selectable } from 'kysely'
import type pg from 'pg'
import type { Database, ReplaysTable } from '../../../db/tables.ts'
import type { Hub } from '../../delivery/hub.ts'
import { isDatabaseUnavailable } from '../../errors.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { EventLog } from '../../events/log.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Scope } from '../../../schemas/scope.ts'

/** How often there is a step while something is to be replayed, and how often it is looked for otherwise. */
const stepMs = 100
const idleMs = 1000
/** Events of one step at most, whatever the rate. */
const stepEventsMax = 1000
/** A runner that was not heard of for so long is replaced. */
const leaseMs = 10_000
/** How long after its end the nodes still do their part of a replay. */
const lingerMs = 30_000
const replaysAtOnce = 500

/** Makes deliveries of events of the past, in the transaction that says that they were made. */
export interface WebhookReplayer {
  replay (
    client: pg.ClientBase, scope: Scope, events: readonly LoggedEvent[],
    replay: { id: string, webhookId: string | null }
  ): Promise<number>
  /** They are committed. */
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
  logger: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

type Row = Omit<Selectable<ReplaysTable>, 'events'>
type Place = [topic: string, offset: number, id: string]

/** What this node does for one replay. */
interface Part {
  /** Up to where its sockets have it. */
  seen: number
  /** Events that the rate allows by now. */
  allowance: number
  at: number
  places: Place[] | undefined
}

/**
 * Sends events of the past again. One node, which holds the lease, moves a replay's position on at its rate, and makes
 * webhook deliveries in the same transaction; every node, it included, brings what lies up to that position to its own
 * sockets. A restart, or another node, goes on from the position: no socket that lives through it gets an event twice
 * or misses one.
 */
export class ReplayRunner {
  readonly #options: ReplayRunnerOptions
  readonly #startedAt = Date.now()
  readonly #parts = new Map<string, Part>()
  readonly #stop = new AbortController()
  #woken = new AbortController()
  #running: Promise<void> | undefined
  #isFailing = false

  constructor (options: ReplayRunnerOptions) {
    this.#options = options
  }

  start (): void {
    this.#running ??= this.#run()
  }

  wake (): void {
    this.#woken.abort()
  }

  /** Lets others go on at once. */
  async close (): Promise<void> {
    this.#stop.abort()
    this.#woken.abort()
    await this.#running
    const { db, node } = this.#options
    await db.updateTable('replays').set({ lease_until: 0 }).where('lease_owner', '=', node).where(
      'finished_at', 'is', null
    ).execute().catch(() => {})
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

  /** Answers whether there is more to do. */
  async #step (): Promise<boolean> {
    const { db } = this.#options
    const rows: Row[] = await db.selectFrom('replays').select(columns)
      .where(eb => eb.or([eb('finished_at', 'is', null), eb('finished_at', '>', Date.now() - lingerMs)]))
      .orderBy('created_at').limit(replaysAtOnce).execute()
    for (const id of this.#parts.keys()) if (!rows.some(row => row.id === id)) this.#parts.delete(id)
    let isBusy = false
    for (const row of rows) {
      if (this.#stop.signal.aborted) return false
      const isOpen = row.finished_at === null
      if (isOpen) isBusy = true
      try {
        await this.#sendUpTo(row, row.position)
        if (isOpen) await this.#lead(row)
      } catch (err) {
        if (isDatabaseUnavailable(err)) throw err
        this.#options.logger.warn({ err, replayId: row.id }, 'replay.failed')
        await this.#fail(row)
      }
    }
    return isBusy
  }

  /** Moves the position on, where this node holds the lease or can have it. */
  async #lead (row: Row): Promise<void> {
    const part = this.#partOf(row)
    const count = this.#allowed(part, row.rate_per_second)
    const led = await this.#lease(row)
    if (led === undefined || (count === 0 && led.total > 0)) return
    const read = await this.#read(led, part, led.position, count)
    if (!await this.#advance(led, read)) return
    part.allowance -= count
    if (part.seen === led.position) await this.#send(led, part, read)
    else await this.#sendUpTo(led, read.position)
    if (read.isOver) await this.#finish(led)
  }

  /** The row as it is once the lease is held; undefined when somebody else has it, or it is over. */
  async #lease (row: Row): Promise<Row | undefined> {
    const { db, node, logger } = this.#options
    const now = Date.now()
    const isMine = row.lease_owner === node
    if (isMine && row.lease_until > now + leaseMs / 2) return row
    if (!isMine && row.lease_until > now) return undefined
    const led = await db.updateTable('replays')
      .set({
        lease_owner: node,
        lease_until: now + leaseMs,
        state: 'running',
        started_at: sql<number>`coalesce(started_at, ${now}::bigint)`
      })
      .where('id', '=', row.id).where('finished_at', 'is', null).where(eb =>
        eb.or([eb('lease_owner', '=', node), eb('lease_until', '<=', now)])
      )
      .returning(columns).executeTakeFirst()
    if (led !== undefined && !isMine) { logger.info({ replayId: row.id, position: led.position, total: led.total }, 'replay.led') }
    return led
  }

  /**
   * In one transaction: what it owes to webhooks, and how far it is. Answers false when the lease, or the replay, is
   * over.
   */
  async #advance (row: Row, { events, position }: Read): Promise<boolean> {
    const { pool, node, webhooks, metrics } = this.#options
    const isForWebhooks = row.target !== 'subscribers' && events.length > 0
    const done = row.done + events.length
    const client = await pool.connect()
    let deliveries = 0
    try {
      await client.query('begin')
      // First: who has lost the lease waits for whoever has it now, and owes nothing.
      const now = Date.now()
      const { rowCount } = await client.query({
        name: 'replay_advance', text: advanceSql, values: [row.id, node, position, done, now + leaseMs]
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

  /** Brings what lies up to the position to this node's sockets. */
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
   * The next events after a position, which is an offset, or for single events how many are behind; none beyond
   * `until`.
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
   * After this node's sockets have it, so that a replay that is done says how many got it. Whoever leads next does it,
   * when this node dies before.
   */
  async #finish ({ id }: Row): Promise<void> {
    const { db, node } = this.#options
    await db.updateTable('replays').set({ state: 'done', finished_at: Date.now(), missing: sql<number>`total - done` })
      .where('id', '=', id).where('lease_owner', '=', node).where('finished_at', 'is', null).execute()
  }

  async #fail (row: Row): Promise<void> {
    await this.#options.db.updateTable('replays')
      .set({
        state: 'failed', finished_at: Date.now(), message: 'The replay failed; the log of the server has the reason'
      })
      .where('id', '=', row.id).where('finished_at', 'is', null).execute()
  }

  /** Of a replay that is older than this node, what was sent before is not for the sockets that it has. */
  #partOf (row: Row): Part {
    let part = this.#parts.get(row.id)
    if (part === undefined) {
      const start = row.topic === null ? 0 : Math.max(0, (row.from_offset ?? 0) - 1)
      part = {
        seen: row.created_at >= this.#startedAt ? start : row.position, allowance: 1, at: Date.now(), places: undefined
      }
      this.#parts.set(row.id, part)
    }
    return part
  }

  /** Events that may go by now; what was not used for two steps is lost. */
  #allowed (part: Part, ratePerSecond: number): number {
    const now = Date.now()
    const most = Math.max(1, ratePerSecond * 2 * stepMs / 1000)
    part.allowance = Math.min(most, part.allowance + (now - part.at) * ratePerSecond / 1000)
    part.at = now
    return Math.min(stepEventsMax, Math.floor(part.allowance))
  }
}

interface Read { events: LoggedEvent[], position: number, isOver: boolean }

const scopeOf = (row: Row): Scope => ({ applicationId: row.application_id, environment: row.environment })

const advanceSql = `
  update replays set position = $3, done = $4, lease_until = $5
  where id = $1 and lease_owner = $2 and finished_at is null`

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
  'lease_owner',
  'lease_until'
] as const
