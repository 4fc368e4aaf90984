import { ServiceUnavailableError } from '../../errors.ts'

/** Concurrent tasks over all keys. A task holds a connection of the pool while it waits for a connected database. */
const atOnceMax = 4
const waitingMax = 50
const defaultWaitMs = 30_000

interface Last { promise: Promise<void>, count: number }

/** Runs the tasks of one key in order, and few tasks at once over all keys. Tasks that wait too long are rejected. */
export class KeyedQueue {
  readonly #waitMs: number
  readonly #last = new Map<string, Last>()
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor (waitMs = defaultWaitMs) {
    this.#waitMs = waitMs
  }

  /**
   * Runs a task. Throws ServiceUnavailableError `OVERLOADED` when too many wait, or when the task has not begun in
   * time; then it never begins.
   */
  async take<T> (name: string, work: () => Promise<T>): Promise<T> {
    const before: Last = this.#last.get(name) ?? { promise: Promise.resolve(), count: 0 }
    if (before.count >= waitingMax) throw overloaded()
    let isLate = false
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        isLate = true
        reject(overloaded())
      }, this.#waitMs)
    })
    const done = before.promise.then(() => this.#run(async () => {
      if (isLate) throw overloaded()
      clearTimeout(timer)
      return await work()
    }))
    const own: Last = { promise: done.catch(() => {}).then(() => this.#leave(name, own)), count: before.count + 1 }
    this.#last.set(name, own)
    return await Promise.race([done, late])
  }

  #leave (name: string, own: Last): void {
    const last = this.#last.get(name)
    if (last === own) this.#last.delete(name)
    else if (last !== undefined) last.count--
  }

  /** A finished task hands its place to the one that has waited longest. */
  async #run<T> (work: () => Promise<T>): Promise<T> {
    if (this.#running < atOnceMax) this.#running++
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}

const overloaded = () =>
  new ServiceUnavailableError(
    'OVERLOADED', 'Too many mapping changes are waiting. Retry after the time in Retry-After', { retryAfterS: 5 }
  )
