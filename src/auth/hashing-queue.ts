import { RateLimitError, ServiceUnavailableError } from '../errors.ts'

/** Whom a hashing is done for. */
export interface HashingShare {
  /** An application, a user or a network: owners take turns, however much each asks for. */
  owner: string
  /** Logins have a place of their own at work and in the queue. */
  isLogin: boolean
}

export interface HashingQueueOptions {
  /** At once, and of those how many that are no logins. */
  runningMax: number
  runningOthersMax: number
  /** That wait, of one owner, of logins, and of everything else. */
  waitingOfOwnerMax: number
  waitingLoginsMax: number
  waitingOthersMax: number
}

type Start = () => void

/** Waiting work by owner. The owner whose work was taken longest ago is next. */
class Lane {
  readonly #byOwner = new Map<string, Start[]>()
  readonly #waitingMax: number
  running = 0
  waiting = 0

  constructor (waitingMax: number) { this.#waitingMax = waitingMax }

  add (owner: string, ofOwnerMax: number, start: Start): void {
    const own = this.#byOwner.get(owner) ?? []
    if (own.length >= ofOwnerMax) throw new RateLimitError('RATE_LIMITED', `${ofOwnerMax} of your passwords are waiting to be hashed, the most that may. Retry after 1 s`, { retryAfterS: 1 })
    if (this.waiting >= this.#waitingMax) throw new ServiceUnavailableError('OVERLOADED', 'Too many passwords are waiting to be hashed. Retry after 5 s', { retryAfterS: 5 })
    own.push(start)
    this.#byOwner.set(owner, own)
    this.waiting++
  }

  take (): Start | undefined {
    const next = this.#byOwner.entries().next().value
    if (next === undefined) return undefined
    const [owner, own] = next
    this.#byOwner.delete(owner)
    const start = own.shift()
    if (own.length > 0) this.#byOwner.set(owner, own)
    this.waiting--
    return start
  }
}

/**
 * Shares the few threads that hash passwords: owners take turns, logins are never behind everything else, and whoever
 * asks for more than fits is refused alone.
 */
export class HashingQueue {
  readonly #options: HashingQueueOptions
  readonly #logins: Lane
  readonly #others: Lane

  constructor (options: HashingQueueOptions) {
    this.#options = options
    this.#logins = new Lane(options.waitingLoginsMax)
    this.#others = new Lane(options.waitingOthersMax)
  }

  /** Throws RateLimitError when too much waits of the owner, ServiceUnavailableError `OVERLOADED` when too much waits of all. */
  async run<T> ({ owner, isLogin }: HashingShare, work: () => Promise<T>): Promise<T> {
    const lane = isLogin ? this.#logins : this.#others
    await new Promise<void>(resolve => {
      lane.add(owner, this.#options.waitingOfOwnerMax, resolve)
      this.#startNext()
    })
    try {
      return await work()
    } finally {
      lane.running--
      this.#startNext()
    }
  }

  #startNext (): void {
    const lane = this.#nextLane()
    if (lane === undefined) return
    const start = lane.take()
    lane.running++
    start?.()
  }

  #nextLane (): Lane | undefined {
    const { runningMax, runningOthersMax } = this.#options
    const [logins, others] = [this.#logins, this.#others]
    if (logins.running + others.running >= runningMax) return undefined
    const mayOthers = others.waiting > 0 && others.running < runningOthersMax
    if (logins.waiting > 0 && (!mayOthers || logins.running <= others.running)) return logins
    return mayOthers ? others : undefined
  }
}
