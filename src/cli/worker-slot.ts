import cluster, { type Worker } from 'node:cluster'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Exchange } from '../cluster/ipc/exchange.ts'
import { passConnections } from './pass-connection.ts'
import { StartError } from './start-failure.ts'
import { linkDescriptor, type Announcement, type Beginning, type StartFailure } from './worker-protocol.ts'

const firstPauseMs = 100
const pauseMaxMs = 10_000
/** A worker that has lived for this long is replaced at once. */
const healthyMs = 30_000
/** Failed starts in a row after which a slot no longer counts as one that may recover. It goes on to try. */
const failuresMax = 5

interface Exit { code: number | null, signal: string | null }

export interface WorkerSlotOptions {
  name: string
  beginning: Omit<Beginning, 'worker'>
  exchange: Exchange
  logger: Logger
  /** Returns the metrics of the parent. */
  scrape (): Promise<string>
  counts: { ended (): void, changed (): void }
  /** Returns the process that has the place of this name. */
  workerOf (name: string): Worker | undefined
  /** Called when a replacement has not started. */
  onFailed (): void
}

/** The place of one worker. When its process ends, another takes the place, after a pause that grows with failures. */
export class WorkerSlot {
  readonly #options: WorkerSlotOptions
  readonly #stopping = new AbortController()
  #worker: Worker | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #isReady = false
  /** Processes in a row that did not live long. */
  #failures = 0
  /** Processes in a row that ended before they listened. */
  #failedStarts = 0

  constructor (options: WorkerSlotOptions) {
    this.#options = options
  }

  /** Whether its process accepts connections. */
  get isReady (): boolean { return this.#isReady }

  get worker (): Worker | undefined { return this.#worker }

  get mayRecover (): boolean { return this.#failedStarts < failuresMax }

  /** Starts the first process. Rejects with StartError if it ends before it listens. */
  async start (): Promise<Announcement> {
    return await this.#launch()
  }

  /** Stops the process together with `others` other ones. Resolves when it has ended. */
  async stop (others: number): Promise<void> {
    this.#stopping.abort()
    const { exchange, name } = this.#options
    // A process that cannot answer yet gets the signal instead.
    if (await exchange.ask(name, 'stop', String(others)) === undefined) this.#worker?.process.kill('SIGTERM')
    await this.#ended
  }

  kill (): void {
    this.#worker?.process.kill('SIGKILL')
  }

  /** Starts a process. Resolves when it listens. */
  #launch (): Promise<Announcement> {
    const { name, beginning, exchange, logger, scrape, counts, workerOf } = this.#options
    const worker = this.#worker = cluster.fork()
    const launchedAt = performance.now()
    let failure: StartFailure | undefined
    passConnections(worker, workerOf)
    const ended = new Promise<Exit>(resolve => {
      worker.once('exit', (code: number | null, signal: string | null) => resolve({ code, signal }))
    })
    this.#ended = ended
    worker.on('error', err => logger.error({ err, worker: name }, 'worker.error'))
    return new Promise((resolve, reject) => {
      exchange.connect(name, worker.process.stdio[linkDescriptor] as Duplex, {
        begin: () => JSON.stringify({ ...beginning, worker: name } satisfies Beginning),
        ready: body => {
          this.#isReady = true
          this.#failedStarts = 0
          counts.changed()
          resolve(JSON.parse(body) as Announcement)
          return ''
        },
        failed: body => {
          failure = JSON.parse(body) as StartFailure
          return ''
        },
        parentMetrics: () => scrape()
      })
      void ended.then(({ code, signal }) => {
        const wasReady = this.#isReady
        this.#isReady = false
        counts.changed()
        if (!this.#stopping.signal.aborted) {
          counts.ended()
          this.#failures = performance.now() - launchedAt < healthyMs ? this.#failures + 1 : 0
          const fields = { worker: name, pid: worker.process.pid, code, signal, reason: failure?.reason }
          logger.warn(fields, 'worker.ended')
        }
        if (wasReady) void this.#replace()
        else reject(this.#startError({ code, signal }, failure))
      })
    })
  }

  /** Starts a new process until one listens. Never rejects. */
  async #replace (): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const pauseMs = this.#failures === 0 ? 0 : Math.min(firstPauseMs * 2 ** (this.#failures - 1), pauseMaxMs)
      await sleep(pauseMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      try {
        await this.#launch()
        return
      } catch {
        this.#failedStarts++
        this.#options.onFailed()
      }
    }
  }

  #startError ({ code, signal }: Exit, failure: StartFailure | undefined): Error {
    if (failure?.isExplained === true) return new StartError(failure.reason)
    return new StartError(
      `Worker ${this.#options.name} ended during its start (${signal ?? `exit code ${code}`})` +
        `${failure === undefined ? '. WORKERS=1 starts without workers.' : `: ${failure.reason}`}`
    )
  }
}
