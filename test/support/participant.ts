import {
  RealtimeClient, type Positions, type PositionStore, type RealtimeClientOptions, type RealtimeEvent, type Subscription,
  type SubscribeOptions
} from '@realtime-platform/client'
import { Ledger, type LedgerState } from './ledger.ts'
import { Random } from './random.ts'

/* Runs in Node and in pages, so it imports nothing of either. */

export interface ParticipantOptions extends RealtimeClientOptions {
  seed: number
  /** Nothing has been published to them yet. */
  topics: readonly [string, string, string, string, string]
  /** Covers the topics, and those that are created later. */
  pattern: string
  /** Keeps positions and ledgers across reloads of the page. */
  kept?: {
    store: PositionStore
    load (name: string): LedgerState | undefined
    save (name: string, state: LedgerState): void
  }
}

/** Each handler by its name. */
export type Report = Record<string, LedgerState & { topic: string, every: number }>

/** A client with handlers of every kind, each with a ledger. */
export class Participant {
  readonly client: RealtimeClient
  /** Errors that the client has emitted, by code. */
  readonly errors: Record<string, number> = {}
  /** The latest lines of the debug tap, but for events. */
  readonly lines: string[] = []
  readonly #options: ParticipantOptions
  readonly #random: Random
  readonly #handlers = new Map<string, { topic: string, every: number, ledger: Ledger, subscription?: Subscription }>()
  readonly #over = new AbortController()

  constructor (options: ParticipantOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
    const begin = performance.now()
    this.client = new RealtimeClient({
      ...options,
      debug: line => {
        if (line.startsWith('event ')) return
        this.lines.push(`${Math.round(performance.now() - begin)} ms: ${line}`)
        if (this.lines.length > 80) this.lines.shift()
      }
    })
    this.client.on('error', ({ code }) => { this.errors[code] = (this.errors[code] ?? 0) + 1 })
  }

  /** Subscribes. Resolves when each handler has begun. */
  async start (): Promise<void> {
    const { topics: [a, b, c, d, e], pattern } = this.#options
    await Promise.all([
      this.#listen('sync', a),
      this.#listen('beside it, async', a, { handler: async () => { await this.#pause(0.3, 2) } }),
      this.#listen('slow', b, { handler: async () => { await this.#pause(0.2, 12) }, bufferSize: 8 }),
      this.#iterate('loop', c),
      this.#listen('filtered', d, { every: 2, filter: { even: true } }),
      this.#listen('async', e, { handler: async () => { await this.#pause(0.5, 1) } }),
      this.#listen('pattern', pattern),
      this.#listen('slow pattern', pattern, { handler: async () => { await this.#pause(0.05, 15) }, bufferSize: 16 }),
      this.#iterate('loop of the pattern', pattern)
    ])
  }

  /** Adds a handler that reads a topic from its first event on. */
  join (name: string, topic: string): void {
    void this.#listen(name, topic, { after: 0, handler: async () => { await this.#pause(0.1, 3) } })
  }

  /** Ends a subscription, and makes an equal one that begins after its positions. */
  swap (): void {
    const handler = this.#handlers.get('sync')
    const positions = handler?.subscription?.positions
    if (handler === undefined || positions === undefined) return
    handler.subscription?.unsubscribe()
    void this.#listen('sync', handler.topic, { after: positions })
  }

  report (): Report {
    return Object.fromEntries([...this.#handlers].map(([name, { topic, every, ledger }]) =>
      [name, { ...ledger.state, topic, every }]))
  }

  stop (): void {
    this.#over.abort()
    this.client.disconnect()
  }

  async #listen (name: string, topic: string, { handler: work, every = 1, ...options }: SubscribeOptions & {
    handler?: (event: RealtimeEvent) => Promise<void>, every?: number
  } = {}): Promise<void> {
    const ledger = this.#ledger(name, topic, every)
    if (typeof options.after === 'number') ledger.begin({ [topic]: { offset: options.after } })
    let isBusy = false
    const slow = async (event: RealtimeEvent) => {
      if (isBusy) ledger.fault(`${event.topic}: called with ${event.offset} during another call`)
      isBusy = true
      await work?.(event)
      isBusy = false
      ledger.event(event)
    }
    const subscription = this.client.topic(topic).subscribe(
      work === undefined ? event => ledger.event(event) : slow, { ...this.#common(name, ledger), ...options }
    )
    const entry = this.#handlers.get(name)
    if (entry !== undefined) entry.subscription = subscription
    await subscription.ready.then(() => ledger.begin(subscription.positions ?? {}))
  }

  async #iterate (name: string, topic: string): Promise<void> {
    const ledger = this.#ledger(name, topic, 1)
    // After a reload, the position may not have been stored yet.
    const after = ledger.state.hasBegun ? { ...ledger.state.places } : await this.#beginning(topic)
    ledger.begin(after)
    const events = this.client.topic(topic).events({
      ...this.#common(name, ledger), after, signal: this.#over.signal
    })
    const loop = async () => {
      for await (const event of events) {
        await this.#pause(0.1, 4)
        ledger.event(event)
      }
    }
    loop().catch((error: Error) => ledger.fault(`the loop ended: ${error.message}`))
  }

  /** Returns where a subscription begins now: an iteration has no `ready`. */
  async #beginning (topic: string): Promise<Positions> {
    const twin = this.client.topic(topic).subscribe(() => {})
    await twin.ready
    const { positions = {} } = twin
    twin.unsubscribe()
    return positions
  }

  #ledger (name: string, topic: string, every: number): Ledger {
    const existing = this.#handlers.get(name)
    if (existing !== undefined) return existing.ledger
    const { kept } = this.#options
    const ledger = new Ledger({
      every, state: kept?.load(name), ...(kept !== undefined && { save: state => kept.save(name, state) })
    })
    this.#handlers.set(name, { topic, every, ledger })
    return ledger
  }

  #common (name: string, ledger: Ledger) {
    const { kept } = this.#options
    return {
      onGap: ledger.gap.bind(ledger),
      onError: (error: Error) => ledger.fault(error.message),
      ...(kept !== undefined && { store: kept.store, storeKey: name })
    }
  }

  async #pause (probability: number, msMax: number): Promise<void> {
    if (this.#random.chance(probability)) {
      const ms = this.#random.next() * msMax
      await new Promise(resolve => setTimeout(resolve, ms))
    }
  }
}
