import { setImmediate } from 'node:timers/promises'
import type { PublicError } from '../errors.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Intent } from './intent.ts'

/** Limits the intents of one transaction. Larger batches gain no throughput and add latency. */
const batchIntentsMax = 500
const batchBytesMax = 8 * 1024 * 1024

/** An accepted intent whose promise is not settled yet. */
export interface PendingIntent {
  intent: Intent<unknown>
  since: number
  resolve: (answer: unknown) => void
  reject: (error: PublicError) => void
}

/** Commits a batch, and resolves to the function that settles its intents. Never rejects. */
export type Commit = (batch: PendingIntent[]) => Promise<() => void>

/**
 * A queue of intents with at most one transaction in flight. Before a batch is settled, the next one is sent: the
 * database works on it while this process answers the requests of the first.
 */
export class WriteLane {
  #queue: PendingIntent[] = []
  #inFlight: Promise<void> | undefined
  #unsettled: (readonly PendingIntent[])[] = []
  readonly #commit: Commit

  constructor (commit: Commit) {
    this.#commit = commit
  }

  get oldest (): number | undefined {
    return (this.#unsettled[0] ?? this.#queue)[0]?.since
  }

  /** The scopes of the intents that are not settled, one for each intent. */
  * waiting (): Generator<Scope> {
    for (const batch of this.#unsettled) for (const { intent } of batch) yield intent.scope
    for (const { intent } of this.#queue) yield intent.scope
  }

  push (pending: PendingIntent): void {
    this.#queue.push(pending)
    this.#inFlight ??= this.#run()
  }

  async drained (): Promise<void> {
    while (this.#inFlight !== undefined) await this.#inFlight
  }

  async #run (): Promise<void> {
    // Intents that arrive in this turn of the event loop share the first batch.
    await setImmediate()
    let settle: () => void = () => {}
    while (this.#queue.length > 0) {
      const batch = this.#take()
      this.#unsettled.push(batch)
      const committed = this.#commit(batch)
      // In this turn of the event loop, the batch is sent, unless a read or a long computation holds it up.
      await setImmediate()
      settle()
      const settleBatch = await committed
      settle = () => {
        settleBatch()
        this.#unsettled.shift()
      }
    }
    settle()
    this.#inFlight = undefined
  }

  /** Takes as many intents from the front as the limits allow, without two of the same idempotency key. */
  #take (): PendingIntent[] {
    const keys = new Set<string>()
    let bytes = 0
    let count = 0
    for (const { intent } of this.#queue) {
      bytes += intent.bytes ?? 0
      if (count > 0 && (count >= batchIntentsMax || bytes > batchBytesMax)) break
      if (intent.idempotency !== undefined) {
        const key = `${scopeKey(intent.scope)}/${intent.idempotency.key}`
        if (keys.has(key)) break
        keys.add(key)
      }
      count++
    }
    if (count === this.#queue.length) {
      const all = this.#queue
      this.#queue = []
      return all
    }
    return this.#queue.splice(0, count)
  }
}
