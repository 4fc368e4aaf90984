import type { Count, SharedCounter } from '../../foundation/limits/shared-counter.ts'
import type { ParentLink } from './parent-link.ts'

/** Time limit of a count. After it, the worker counts by itself, so that a suspended parent delays no request. */
const answerMs = 250
/** The parent answers each second. After this silence, no request waits for it. */
const silentMs = 2000

/** Counts over all workers of one command: their parent process has the counts. */
export class IpcCounter implements SharedCounter {
  readonly #parent: ParentLink

  constructor (parent: ParentLink) {
    this.#parent = parent
  }

  async count (key: string, windowMs: number): Promise<Count | undefined> {
    if (this.#isAway) return undefined
    const answer = await this.#parent.ask('count', `${windowMs} ${key}`, answerMs)
    if (answer === undefined) return undefined
    const [count = NaN, leftMs = NaN] = answer.split(' ').map(Number)
    return { count, leftMs }
  }

  async uncount (key: string): Promise<void> {
    if (!this.#isAway) await this.#parent.ask('uncount', key, answerMs)
  }

  close (): void {}

  get #isAway (): boolean {
    const { isConnected, heartbeatAgeMs } = this.#parent.health()
    return !isConnected || heartbeatAgeMs > silentMs
  }
}
