import type { Hub } from '../../delivery/hub.ts'
import type { EventLog } from '../../events/log.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { ReplayEvents, type ReplayPage } from './replay-events.ts'
import { ReplayPace, stepEventsMax } from './replay-pace.ts'
import type { ReplayRow, ReplayRows } from './replay-rows.ts'

export interface ReplayPartOptions {
  log: EventLog
  hub: Hub
  rows: ReplayRows
  metrics: Metrics
  /** When this node started, by the clock that all nodes share. */
  startedAt: number
  /** Ends `sendUpTo` early. */
  signal: AbortSignal
}

/** Sends the events of one replay to the sockets of this node. */
export class ReplayPart {
  readonly events: ReplayEvents
  readonly pace = new ReplayPace()
  /** Whether events could not be read or sent. */
  hasFailed = false
  readonly #options: ReplayPartOptions
  #seen: number

  /** A node that started after the replay skips the events that were sent before it started. */
  constructor (options: ReplayPartOptions, row: ReplayRow) {
    this.#options = options
    this.events = new ReplayEvents(options, row)
    this.#seen = row.created_at >= options.startedAt ? this.events.start : row.position
  }

  /** The position up to which this node's sockets have received the events. */
  get seen (): number { return this.#seen }

  async sendUpTo (row: ReplayRow, position: number): Promise<void> {
    if (row.target === 'webhooks' || row.state === 'cancelled') this.#seen = position
    while (this.#seen < position && !this.#options.signal.aborted) {
      await this.send(row, await this.events.read(this.#seen, stepEventsMax, position))
    }
  }

  async send ({ id, target }: ReplayRow, { events, position }: ReplayPage): Promise<void> {
    const { hub, rows, metrics } = this.#options
    this.#seen = Math.max(this.#seen, position)
    if (target === 'webhooks') return
    const counts = hub.replay(events.map(event => event.withMeta({ replayOf: id })))
    if (counts.sent + counts.passedOver === 0) return
    metrics.eventsReplayed.inc({ target: 'subscribers' }, counts.sent)
    await rows.addSent(id, counts)
  }
}
