import { setTimeout as delay } from 'node:timers/promises'
import type { Hub } from '../../delivery/hub.ts'
import { isDatabaseUnavailable } from '../../errors.ts'
import type { EventLog } from '../../events/log.ts'
import { ReplayLeader, type ReplayLeaderOptions } from './replay-leader.ts'
import { stepMs } from './replay-pace.ts'
import { ReplayPart, type ReplayPartOptions } from './replay-part.ts'
import { createReplayRows, type ReplayRow, type ReplayRows, type ReplayRowsOptions } from './replay-rows.ts'
import { createRequesterRights } from './requester-rights.ts'

/** Interval of polls while no replay is open. */
const idleMs = 1000

export interface ReplayRunnerOptions
  extends Omit<ReplayLeaderOptions, 'rows' | 'rights' | 'logger'>, ReplayRowsOptions {
  log: EventLog
  hub: Hub
  logger: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/**
 * Sends stored events again. The node with the lease advances a replay's position at its rate and creates webhook
 * deliveries in the same transaction. Every node, including the leader, sends events up to that position to its own
 * sockets. After a restart, or on another node, the replay continues from the position. A socket that stays connected
 * misses no event and gets none twice.
 */
export class ReplayRunner {
  readonly #logger: ReplayRunnerOptions['logger']
  readonly #rows: ReplayRows
  readonly #leader: ReplayLeader
  readonly #partOptions: ReplayPartOptions
  readonly #parts = new Map<string, ReplayPart>()
  readonly #stop = new AbortController()
  #woken = new AbortController()
  #running: Promise<void> | undefined
  #isFailing = false

  constructor (options: ReplayRunnerOptions) {
    this.#logger = options.logger
    this.#rows = createReplayRows(options)
    this.#leader = new ReplayLeader({ ...options, rows: this.#rows, rights: createRequesterRights(options) })
    this.#partOptions = { ...options, rows: this.#rows, startedAt: options.now(), signal: this.#stop.signal }
  }

  start (): void {
    this.#running ??= this.#run()
  }

  wake (): void {
    this.#woken.abort()
  }

  /** Releases the leases, so that other nodes continue at once. */
  async close (): Promise<void> {
    this.#stop.abort()
    this.#woken.abort()
    await this.#running
    await this.#leader.close()
  }

  async #run (): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let isBusy = false
      try {
        isBusy = await this.#step()
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing && !this.#stop.signal.aborted) this.#logger.warn({ err }, 'replays.step_failed')
        this.#isFailing = true
      }
      await delay(isBusy ? stepMs : idleMs, undefined, { signal: this.#woken.signal, ref: false }).catch(() => {})
      if (!this.#stop.signal.aborted && this.#woken.signal.aborted) this.#woken = new AbortController()
    }
  }

  /** Returns whether a replay is open. */
  async #step (): Promise<boolean> {
    const rows = await this.#rows.current()
    for (const id of this.#parts.keys()) if (!rows.some(row => row.id === id)) this.#parts.delete(id)
    const open = new Set(rows.filter(row => row.finished_at === null).map(row => row.id))
    await this.#leader.releaseExcept(open)
    for (const row of rows) {
      if (this.#stop.signal.aborted) return false
      await this.#stepOf(row, open.has(row.id))
    }
    return open.size > 0
  }

  async #stepOf (row: ReplayRow, isOpen: boolean): Promise<void> {
    const part = this.#partOf(row)
    try {
      if (!part.hasFailed) {
        await part.sendUpTo(row, row.position)
        if (isOpen) await this.#leader.lead(row, part)
      }
    } catch (err) {
      if (isDatabaseUnavailable(err)) throw err
      this.#logger.warn({ err, replayId: row.id }, 'replay.failed')
      part.hasFailed = true
    }
    if (part.hasFailed && isOpen) await this.#leader.fail(row)
  }

  #partOf (row: ReplayRow): ReplayPart {
    let part = this.#parts.get(row.id)
    if (part === undefined) {
      part = new ReplayPart(this.#partOptions, row)
      this.#parts.set(row.id, part)
    }
    return part
  }
}
