import type pg from 'pg'
import type { Scope } from '../../../schemas/scope.ts'
import { createLeases, HeldLeases, type Lease } from '../../cluster/leases.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { ReplayPage } from './replay-events.ts'
import type { ReplayPart } from './replay-part.ts'
import { scopeOf, type ReplayRow, type ReplayRows } from './replay-rows.ts'
import type { RequesterRights } from './requester-rights.ts'

/** A leader that has not renewed its lease for this long is replaced. */
const leaseMs = 10_000

/** Creates deliveries for stored events, in the transaction that advances the replay. */
export interface WebhookReplayer {
  replay (
    client: pg.ClientBase, scope: Scope, events: readonly LoggedEvent[],
    replay: { id: string, webhookId: string | null }
  ): Promise<number>
  /** Call once the deliveries are committed. */
  wake (): void
}

export interface ReplayLeaderOptions {
  pool: pg.Pool
  rows: ReplayRows
  rights: RequesterRights
  webhooks: WebhookReplayer
  metrics: Metrics
  node: string
  logger: { info (fields: object, message: string): void }
}

/** Advances the replays whose lease this node holds or can acquire. */
export class ReplayLeader {
  readonly #options: ReplayLeaderOptions
  readonly #leases: HeldLeases

  constructor (options: ReplayLeaderOptions) {
    const { pool, node } = options
    this.#options = options
    this.#leases = new HeldLeases(createLeases({ pool, table: 'replays', keyColumn: 'id', node, leaseMs }))
  }

  /** Advances the position at the replay's rate, unless another node leads the replay. */
  async lead (row: ReplayRow, part: ReplayPart): Promise<void> {
    const count = part.pace.allowed(row.rate_per_second)
    const lease = await this.#hold(row)
    if (lease === undefined) return
    // A row that was read under this lease is current: only its holder changes it.
    const isCurrent = row.fence === lease.fence && row.state === 'running'
    const led = isCurrent ? row : await this.#begin(lease)
    if (led === undefined || (count === 0 && led.total > 0)) return
    if (!await this.#options.rights.mayContinue(led, part.events)) {
      await this.#options.rows.cancel(lease, led)
      return
    }
    const page = await part.events.read(led.position, count)
    if (!await this.#advance(lease, led, page)) return
    part.pace.spend(count)
    if (part.seen === led.position) await part.send(led, page)
    else await part.sendUpTo(led, page.position)
    // After this node's sockets have received the replay, so that its counts are complete. If this node dies before,
    // the next leader does so.
    if (page.isOver) await this.#options.rows.finish(lease)
  }

  /** Ends a replay that this node leads or can lead. While another node leads it, only this node's part has failed. */
  async fail (row: ReplayRow): Promise<void> {
    const lease = await this.#hold(row)
    if (lease !== undefined) await this.#options.rows.fail(lease)
  }

  /** Releases the leases of replays that are not open any more. */
  async releaseExcept (open: ReadonlySet<string>): Promise<void> {
    for (const id of this.#leases.keys) if (!open.has(id)) await this.#leases.release(id)
  }

  /** Releases the leases, so that other nodes continue at once. */
  async close (): Promise<void> {
    await this.#leases.releaseAll()
  }

  async #hold ({ id, is_free: isFree }: ReplayRow): Promise<Lease | undefined> {
    return isFree || this.#leases.has(id) ? await this.#leases.hold(id) : undefined
  }

  async #begin (lease: Lease): Promise<ReplayRow | undefined> {
    const { rows, logger } = this.#options
    const led = await rows.begin(lease)
    if (led !== undefined) {
      logger.info({ replayId: led.id, position: led.position, total: led.total }, 'replay.led')
    }
    return led
  }

  /** Returns false when the lease is lost or the replay has ended. */
  async #advance (lease: Lease, row: ReplayRow, { events, position }: ReplayPage): Promise<boolean> {
    const { rows, webhooks, metrics } = this.#options
    const isForWebhooks = row.target !== 'subscribers' && events.length > 0
    const deliveries = await rows.advance(
      lease, { position, done: row.done + events.length },
      async client =>
        isForWebhooks
          ? await webhooks.replay(client, scopeOf(row), events, { id: row.id, webhookId: row.webhook_id })
          : 0
    )
    if (deliveries === undefined) return false
    if (deliveries > 0) {
      metrics.eventsReplayed.inc({ target: 'webhooks' }, deliveries)
      webhooks.wake()
    }
    return true
  }
}
