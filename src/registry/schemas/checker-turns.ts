import { ServiceUnavailableError } from '../../errors.ts'

/** Limits the jobs that wait for a thread: of all applications together, and of one. */
export const waitingMax = { all: 100, ofApplication: 10 }

export const queueRetryAfterS = 5

interface Waiting { start: () => void, reject: (error: Error) => void }

/**
 * Shares the checker's threads. Applications take turns, one job each, and if there are several threads, one
 * application never uses all of them. So a job waits for at most one job of each other application.
 */
export class CheckerTurns {
  readonly #threads: number
  readonly #ofApplicationMax: number
  /** Waiting jobs by application, in the order of their next turns. */
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #running = new Map<string, number>()
  #waitingCount = 0
  #runningCount = 0

  constructor (threads: number) {
    this.#threads = threads
    this.#ofApplicationMax = Math.max(1, threads - 1)
  }

  /** Runs the work when its turn comes. Throws ServiceUnavailableError `OVERLOADED` if too many jobs wait. */
  async take<T> (application = '', work: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve, reject) => {
      this.#add(application, { start: resolve, reject })
      this.#startNext()
    })
    try {
      return await work()
    } finally {
      this.#count(application, -1)
      this.#startNext()
    }
  }

  /** Rejects all waiting jobs. */
  close (error: Error): void {
    for (const jobs of this.#waiting.values()) for (const { reject } of jobs) reject(error)
    this.#waiting.clear()
    this.#waitingCount = 0
  }

  #add (application: string, job: Waiting): void {
    const own = this.#waiting.get(application) ?? []
    if (own.length >= waitingMax.ofApplication && !this.#mayStart(application)) {
      throw overloaded(`${waitingMax.ofApplication} schemas of the application`)
    }
    if (this.#waitingCount >= waitingMax.all) throw overloaded(`${waitingMax.all} schemas`)
    own.push(job)
    this.#waiting.set(application, own)
    this.#waitingCount++
  }

  #mayStart (application: string): boolean {
    return this.#runningCount < this.#threads && (this.#running.get(application) ?? 0) < this.#ofApplicationMax
  }

  #startNext (): void {
    for (const [application, own] of this.#waiting) {
      if (!this.#mayStart(application)) continue
      this.#waiting.delete(application)
      const next = own.shift()
      if (own.length > 0) this.#waiting.set(application, own)
      this.#waitingCount--
      this.#count(application, 1)
      next?.start()
      return
    }
  }

  #count (application: string, by: 1 | -1): void {
    this.#runningCount += by
    const running = (this.#running.get(application) ?? 0) + by
    if (running === 0) this.#running.delete(application)
    else this.#running.set(application, running)
  }
}

const overloaded = (what: string): ServiceUnavailableError =>
  new ServiceUnavailableError(
    'OVERLOADED', `The queue is full: ${what} are waiting to be checked. Retry after ${queueRetryAfterS} s`,
    { retryAfterS: queueRetryAfterS }
  )
