import type { LiveStats, ScopeStats } from '../foundation/observability/live-stats.ts'
import type { Exchange, NodeCounts } from './exchange.ts'
import type { Housekeeping } from './housekeeping.ts'
import type { PublishRates } from './publish-rates.ts'
import type { QuotaGuard } from './quota-guard.ts'
import type { QuotaLimits } from './quota-limits.ts'
import type { UsageRecorder } from './usage-recorder.ts'

/** Interval of exchanges with the other nodes, and the least time between two of them. */
const exchangeMs = 1000
const soonMs = 200
/** Exchanges after which all usage is stored. That of applications with quotas is stored with each exchange. */
const exchangesPerFlush = 10
/** Exchanges between two rounds of housekeeping. */
const exchangesPerHousekeeping = 600

/** The open sockets and subscriptions at this node, by application. */
export type OpenCounts = ReadonlyMap<string, { sockets: number, subscriptions: number }>

export interface QuotaNodeOptions {
  limits: QuotaLimits
  rates: PublishRates
  guard: QuotaGuard
  recorder: UsageRecorder
  exchange: Exchange
  housekeeping: Housekeeping
  liveStats: LiveStats
  log: { warn (fields: object, message: string): void }
}

/**
 * The part of this node in the quotas: exchanges counts with the other nodes, and stores the usage. While the database
 * is unavailable, the node continues with what it has last read.
 */
export class QuotaNode {
  readonly #options: QuotaNodeOptions
  readonly #delivered = new WeakMap<ScopeStats, number>()
  /** Applications whose stored data the next exchange reads, although they are not active here. */
  readonly #awaited = new Set<string>()
  /** The turn in which what an application has stored was last of interest here. */
  readonly #activeAt = new Map<string, number>()
  /** Applications whose documents are counted once more. */
  readonly #uncounted = new Set<string>()
  /** Applications with a quota for documents that were never counted. */
  readonly #neverCounted = new Set<string>()
  #isCounting = false
  /** Returns what is open. The plugin of the sockets sets it. */
  open: () => OpenCounts = () => new Map()
  #turns = 0
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined
  #exchanging: Promise<void> | undefined
  #exchangedAt = 0
  #isFailing = false

  constructor (options: QuotaNodeOptions) {
    this.#options = options
  }

  async start (): Promise<void> {
    for (const id of this.#options.limits.applications) this.#awaited.add(id)
    await this.exchange()
    this.#timer = setInterval(() => this.#tick(), exchangeMs).unref()
    this.#run(this.#keepHouse())
  }

  /** Stores what is left. Call it when nothing more is written. */
  async stop (): Promise<void> {
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    await this.#exchanging?.catch(() => {})
    this.#collect()
    await Promise.allSettled([this.#options.recorder.flush(), this.#options.exchange.leave()])
  }

  /** Exchanges counts once more than the interval does, because something has run out at this node. */
  exchangeSoon (): void {
    if (this.#soon !== undefined) return
    const waitMs = Math.max(0, this.#exchangedAt + soonMs - performance.now())
    this.#soon = setTimeout(() => {
      this.#soon = undefined
      this.#run(this.exchange())
    }, waitMs).unref()
  }

  /** Call when this node has changed the quotas of an application. */
  changed (applicationId: string): void {
    this.changedElsewhere(applicationId)
    if (this.#options.limits.of(applicationId).documents === null) return
    this.#uncounted.add(applicationId)
    this.#run(this.#count(applicationId))
  }

  /** Call when another node has changed the quotas of an application. */
  changedElsewhere (applicationId: string): void {
    this.#awaited.add(applicationId)
    this.exchangeSoon()
  }

  /**
   * Counts the documents of an application. Stores before what this node has created: the count would otherwise include
   * it twice.
   */
  async #count (applicationId: string): Promise<void> {
    const { recorder, housekeeping } = this.#options
    await recorder.flush(id => id === applicationId)
    await housekeeping.count(applicationId)
    this.changedElsewhere(applicationId)
  }

  /** Counts the documents of applications that have a quota and were never counted, one application at a time. */
  async #countFirst (): Promise<void> {
    if (this.#isCounting) return
    this.#isCounting = true
    try {
      for (const id of this.#neverCounted) {
        await this.#count(id)
        this.#neverCounted.delete(id)
      }
    } finally {
      this.#isCounting = false
    }
  }

  /** Exchanges counts with the other nodes. Calls that arrive while one is running wait for it. */
  async exchange (): Promise<void> {
    this.#exchanging ??= this.#exchange().finally(() => { this.#exchanging = undefined })
    await this.#exchanging
  }

  /** Stores the usage of all applications, or of one. */
  async flush (applicationId?: string): Promise<void> {
    this.#collect()
    await this.#options.recorder.flush(id => applicationId === undefined || id === applicationId)
  }

  #tick (): void {
    this.#turns++
    this.#run((async () => {
      await this.exchange()
      if (this.#turns % exchangesPerFlush === 0) {
        await this.flush()
        // The first count may include documents that another node had not stored yet.
        const uncounted = [...this.#uncounted]
        this.#uncounted.clear()
        for (const id of uncounted) await this.#count(id)
      }
      if (this.#turns % exchangesPerHousekeeping === 0) await this.#keepHouse()
    })())
  }

  async #exchange (): Promise<void> {
    const { limits, rates, guard, recorder, exchange } = this.#options
    this.#exchangedAt = performance.now()
    const open = this.#collect()
    const demands = rates.measure()
    const counts = new Map<string, NodeCounts>()
    for (const [id, { sockets, subscriptions }] of open) {
      counts.set(id, { sockets, subscriptions, demand: demands.get(id) ?? 0 })
    }
    for (const [id, demand] of demands) if (!open.has(id)) counts.set(id, { sockets: 0, subscriptions: 0, demand })
    await exchange.write(counts)
    await recorder.flush(id => limits.hasLimit(id, ['bytesStored', 'documents']))
    const { sockets, subscriptions, documents, storedBytes } = guard
    const limited = new Set([
      ...rates.applications, ...sockets.applications, ...subscriptions.applications, ...documents.applications,
      ...storedBytes.keys(), ...this.#awaited
    ])
    // Other nodes store data of applications that are not active here.
    const isForAll = this.#turns % exchangesPerFlush === 0
    if (isForAll) for (const id of limits.applications) limited.add(id)
    for (const id of limited) {
      if (limits.hasLimit(id)) continue
      limited.delete(id)
      guard.forget(id)
      rates.forget(id)
    }
    const isRead = recorder.reading()
    for (const id of [...guard.compared, ...this.#awaited]) this.#activeAt.set(id, this.#turns)
    for (const [id, turn] of this.#activeAt) if (this.#turns - turn > exchangesPerFlush) this.#activeAt.delete(id)
    guard.compared.clear()
    this.#awaited.clear()
    const isActive = (id: string) => isForAll || this.#activeAt.has(id) || recorder.unread(id).bytes > 0
    const { nodes: others, of } = await exchange.read(new Map([...limited].map(id => [id, isActive(id)])))
    isRead()
    for (const count of [sockets, subscriptions, documents]) count.nodes = others + 1
    const now = this.open()
    for (const [id, elsewhere] of of) {
      const nodes = others + 1
      const own = now.get(id) ?? { sockets: 0, subscriptions: 0 }
      sockets.exchanged(id, { own: own.sockets, elsewhere: elsewhere.sockets, nodes })
      subscriptions.exchanged(id, { own: own.subscriptions, elsewhere: elsewhere.subscriptions, nodes })
      const { stored } = elsewhere
      if (stored === undefined) continue
      documents.exchanged(id, { own: guard.creating(id), elsewhere: stored.documents ?? 0, nodes })
      storedBytes.set(id, stored.bytes)
      if (stored.documents === null && limits.hasLimit(id, ['documents'])) this.#neverCounted.add(id)
    }
    if (this.#neverCounted.size > 0) this.#run(this.#countFirst())
    rates.share(id => ({ nodes: others, elsewhere: of.get(id)?.demand ?? 0 }))
  }

  /** Counts deliveries and open sockets. Returns the latter. */
  #collect (): OpenCounts {
    const { liveStats, recorder } = this.#options
    for (const stats of liveStats.scopes(() => true)) {
      const { total } = stats.delivered
      recorder.delivered(stats.scope.applicationId, total - (this.#delivered.get(stats) ?? 0))
      this.#delivered.set(stats, total)
    }
    const open = this.open()
    for (const [id, counts] of open) recorder.open(id, counts)
    return open
  }

  async #keepHouse (): Promise<void> {
    const { limits, housekeeping, exchange } = this.#options
    await exchange.forgetDead()
    await housekeeping.expire()
    const withQuota = limits.defaults.documents === null
      ? [...limits.applications].filter(id => limits.hasLimit(id, ['documents']))
      : null
    await housekeeping.countAgain(withQuota)
    await housekeeping.measure()
  }

  #run (work: Promise<void>): void {
    work.then(() => { this.#isFailing = false }, (err: unknown) => {
      if (!this.#isFailing) this.#options.log.warn({ err }, 'quotas.not_exchanged')
      this.#isFailing = true
    })
  }
}
