import { call } from './rest.ts'
import type { Shop } from './shop.ts'
import { pace } from './waiting.ts'

/**
 * Publishes single events, and repeats each with its own idempotency key until it is acknowledged. Before each try it
 * picks a node again, so a try after a failure or a 503 may go to another node.
 */
export class Publisher {
  acknowledged = 0
  /** Tries that were refused with 503, and tries whose connection was lost. */
  refused = 0
  broken = 0
  readonly offsets: number[] = []
  /** Longest time from the first try to the acknowledgement. */
  slowestMs = 0
  readonly #shop: Shop
  readonly #pick: () => string
  readonly #name: string
  #keys = 0
  #isOver = false
  #running: Promise<unknown> = Promise.resolve()

  constructor (shop: Shop, pick: () => string, name = 'p') {
    this.#shop = shop
    this.#pick = pick
    this.#name = name
  }

  /**
   * Publishes from `atOnce` loops, with `pauseMs` between two events of one loop, until `most` are acknowledged or
   * `stop`. Uses that many event `keys` in turn.
   */
  start ({ atOnce = 8, most = Infinity, pauseMs = 0, keys = 0 } = {}): this {
    let next = 0
    this.#keys = keys
    this.#running = Promise.all(Array.from({ length: atOnce }, async () => {
      while (!this.#isOver && next < most) {
        await this.#publish(next++)
        if (pauseMs > 0) await pace(pauseMs)
      }
    }))
    this.#running.catch(() => {})
    return this
  }

  async done (): Promise<void> {
    await this.#running
  }

  async stop (): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #publish (n: number): Promise<void> {
    const { token, topic } = this.#shop
    const begin = performance.now()
    // The same for each try: it is one request, whatever happens to its tries.
    const body = { payload: { n, at: Date.now() }, ...(this.#keys > 0 && { key: `k${n % this.#keys}` }) }
    for (;;) {
      const answer = await call('POST', `${this.#pick()}/api/topics/${topic}/events`, {
        token, body, headers: { 'idempotency-key': `${this.#name}-${n}` }, signal: AbortSignal.timeout(15_000)
      }).catch(() => undefined)
      if (answer?.status === 201) {
        this.acknowledged++
        this.offsets.push((answer.body as { offset: number }).offset)
        this.slowestMs = Math.max(this.slowestMs, performance.now() - begin)
        return
      }
      if (answer === undefined) this.broken++
      else if (answer.status === 503) this.refused++
      else throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
      await pace(20)
    }
  }
}
