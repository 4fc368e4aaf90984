import { ServiceUnavailableError } from '../errors.ts'

/** At once, over all names: what is done in turn holds a connection of the pool while it waits for somebody else's database. */
const atOnceMax = 4
const waitingMax = 50

/** Work of one name is done one after the other, and little of it at once over all names. What cannot wait any more is refused. */
export class Turns {
  readonly #last = new Map<string, { promise: Promise<unknown>, count: number }>()
  #running = 0
  readonly #idle: (() => void)[] = []

  async take<T> (name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? { promise: Promise.resolve(), count: 0 }
    if (before.count >= waitingMax) throw new ServiceUnavailableError('OVERLOADED', 'Changes of mappings arrive faster than they can be made; come back shortly')
    const done = before.promise.then(() => this.#run(work))
    const own = { promise: done.catch(() => {}), count: before.count + 1 }
    this.#last.set(name, own)
    try {
      return await done
    } finally {
      const last = this.#last.get(name)
      if (last === own) this.#last.delete(name)
      else if (last !== undefined) last.count--
    }
  }

  async #run<T> (work: () => Promise<T>): Promise<T> {
    while (this.#running >= atOnceMax) await new Promise<void>(resolve => this.#idle.push(resolve))
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
      this.#idle.shift()?.()
    }
  }
}
