import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'

/** How often a node gives a sign of life. */
export const beatEveryMs = 2000
/** The end of a subscription whose node died. */
export const nodeGone = 'NODE_GONE'
/** A node that has not been seen for so long is taken to be gone. */
export const nodeGoneAfterMs = 10_000

/** Says that this node lives, for those who read what nodes have written: of one that is gone nothing more will come. */
export class NodeBeat {
  readonly #db: Kysely<Database>
  readonly #log: { warn (fields: object, message: string): void }
  readonly id: string
  readonly #startedAt = Date.now()
  #timer: NodeJS.Timeout | undefined
  #isFailing = false

  constructor ({ db, id, log }: { db: Kysely<Database>, id: string, log: { warn (fields: object, message: string): void } }) {
    this.#db = db
    this.#log = log
    this.id = id
  }

  async start (): Promise<void> {
    await this.#beat()
    this.#timer = setInterval(() => {
      this.#beat().then(() => { this.#isFailing = false }, (err: unknown) => {
        if (!this.#isFailing) this.#log.warn({ err }, 'trace_nodes.not_seen')
        this.#isFailing = true
      })
    }, beatEveryMs).unref()
  }

  stop (): void { clearInterval(this.#timer) }

  async #beat (): Promise<void> {
    const seen = { seen_at: Date.now() }
    await this.#db.insertInto('trace_nodes').values({ id: this.id, started_at: this.#startedAt, ...seen })
      .onConflict(conflict => conflict.column('id').doUpdateSet(seen)).execute()
  }
}
