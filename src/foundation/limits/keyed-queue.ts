import { ServiceUnavailableError } from '../../errors.ts'

/**
 * At once, over all names: what is done in turn holds a connection of the pool while it waits for somebody else's
 * database.
 */
const atOnceMax = 4
const waitingMax = 50
const defaultWaitMs = 30_000

interface Last { promise: Promise<void>, count: number }

/**
 * Work of one name is done one after the other, and little of it at once over all names. What cannot wait any more is
 * refused.
 */
export class Turns {
  readonly #waitMs: number
  readonly #last = new Map<string, Last>()
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor (waitMs = defaultWaitMs) {
    this.#waitMs = waitMs
  }

  /**
   * Throws ServiceUnavailableError `OVERLOADED`, also when the work has not begun after a while: then it never begins.
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

  /** The place of finished work goes to whoever has waited longest. */
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
    'OVERLOADED', 'Changes of mappings arrive faster than they can be made. Try again later.', { retryAfterS: 5 }
  )
