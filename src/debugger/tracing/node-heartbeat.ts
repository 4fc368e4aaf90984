import type { Kysely } from 'kysely'
import type { Node } from '../../cluster/node.ts'
import type { Database } from '../../../db/tables.ts'

/** Interval of heartbeats. */
export const beatEveryMs = 2000
/** End reason of a subscription whose node died. */
export const nodeGone = 'NODE_GONE'
/** A node without a heartbeat for this long counts as dead. */
export const nodeGoneAfterMs = 10_000

export interface NodeHeartbeatOptions {
  db: Kysely<Database>
  node: Node
  log: { warn (fields: object, message: string): void }
  /** Called after a gap in the heartbeats, during which other nodes may have declared this node dead. */
  onReturned (): void
}

/** Records this node's heartbeat. A dead node writes no more traces. */
export class NodeHeartbeat {
  readonly #options: NodeHeartbeatOptions
  #seenAt = Date.now()
  #timer: NodeJS.Timeout | undefined
  #isFailing = false

  constructor (options: NodeHeartbeatOptions) {
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
    const { db, node, onReturned } = this.#options
    const now = Date.now()
    await db.insertInto('trace_nodes').values({ id: node.id, started_at: node.startedAt, seen_at: now })
      .onConflict(conflict => conflict.column('id').doUpdateSet({ seen_at: now })).execute()
    const wasGone = now - this.#seenAt > nodeGoneAfterMs
    this.#seenAt = now
    if (wasGone) onReturned()
  }
}
