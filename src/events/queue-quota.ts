import type { Intent } from './intent.ts'

/** Limits the intents that wait in all lanes, and their bytes. Beyond either limit, intents are refused with 503. */
const queueIntentsMax = 10_000
const queueBytesMax = 64 * 1024 * 1024
/** The share of each limit that one application may use, so that its flood leaves room for others. */
const applicationShare = 0.5

interface Load { intents: number, bytes: number }

/** Limits the waiting intents and their bytes, in total and for each application. */
export class QueueQuota {
  readonly #total: Load = { intents: 0, bytes: 0 }
  readonly #byApplication = new Map<string, Load>()

  /** The number of waiting intents. */
  get intents (): number { return this.#total.intents }

  /** Returns false if the queue has no room for the intent. */
  enter ({ scope: { applicationId }, bytes = 0 }: Intent<unknown>): boolean {
    const own = this.#byApplication.get(applicationId) ?? { intents: 0, bytes: 0 }
    if (!hasRoom(this.#total, bytes, 1) || !hasRoom(own, bytes, applicationShare)) return false
    if (own.intents === 0) this.#byApplication.set(applicationId, own)
    for (const load of [this.#total, own]) {
      load.intents++
      load.bytes += bytes
    }
    return true
  }

  /** Call once for each intent that was let in, when it is settled. */
  leave ({ scope: { applicationId }, bytes = 0 }: Intent<unknown>): void {
    const own = this.#byApplication.get(applicationId) as Load
    for (const load of [this.#total, own]) {
      load.intents--
      load.bytes -= bytes
    }
    if (own.intents === 0) this.#byApplication.delete(applicationId)
  }
}

const hasRoom = ({ intents, bytes }: Load, more: number, share: number): boolean =>
  intents < queueIntentsMax * share && bytes + more <= queueBytesMax * share
