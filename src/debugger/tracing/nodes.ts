import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'

/** How often a node gives a sign of life. */
export const beatEveryMs = 2000
/** The end of a subscription whose node died. */
export const nodeGone = 'NODE_GONE'
/** A node that has not been seen for so long is taken to be gone. */
export const nodeGoneAfterMs = 10_000

export interface NodeBeatOptions {
  db: Kysely<Database>
  /** What this node is called. */
  id: string
  log: { warn (fields: object, message: string): void }
  /** For a while nobody could see that it lives: others may have taken it for gone. */
  onReturned (): void
}

/**
 * Says that this node lives, for those who read what nodes have written: of one that is gone nothing more will come.
 */
export class NodeBeat {
  readonly #options: NodeBeatOptions
  readonly #startedAt = Date.now()
  #seenAt = Date.now()
  #timer: NodeJS.Timeout | undefined
  #isFailing = false

  constructor (options: NodeBeatOptions) {
    this.#options = options
  }

  async start (): Promise<void> {
    await this.#beat()
    this.#timer = setInterval(() => {
      this.#beat().then(() => { this.#isFailing = false }, (err: unknown) => {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'trace_nodes.not_seen')
        this.#isFailing = true
      })
    }, beatEveryMs).unref()
  }

  stop (): void { clearInterval(this.#timer) }

  async #beat (): Promise<void> {
    const { db, id, onReturned } = this.#options
    const now = Date.now()
    await db.insertInto('trace_nodes').values({ id, started_at: this.#startedAt, seen_at: now })
      .onConflict(conflict => conflict.column('id').doUpdateSet({ seen_at: now })).execute()
    const wasGone = now - this.#seenAt > nodeGoneAfterMs
    this.#seenAt = now
    if (wasGone) onReturned()
  }
}
