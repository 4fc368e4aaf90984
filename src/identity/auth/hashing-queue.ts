import { RateLimitError, ServiceUnavailableError } from '../../errors.ts'

/**
 * Logins from networks that are known to the account, other logins, and everything else. Each has places of its own in
 * the queue, so that strangers from however many networks keep out neither a known network nor an administrator.
 */
export type HashingKind = 'knownLogin' | 'login' | 'other'

/** Whom a hashing is done for. */
export interface HashingShare {
  /** An application, a user or a network: owners take turns, however much each asks for. */
  owner: string
  kind: HashingKind
}

export interface HashingQueueOptions {
  /** At once, and of those how many that are no logins. */
  runningMax: number
  runningOthersMax: number
  /** That wait, of one owner and of each kind. */
  waitingOfOwnerMax: number
  waitingMax: Readonly<Record<HashingKind, number>>
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
    if (own.length >= ofOwnerMax) {
      throw new RateLimitError(
        'RATE_LIMITED',
        `${ofOwnerMax} of your passwords are waiting to be hashed, the most that may. Retry after 1 s`,
        { retryAfterS: 1 }
      )
    }
    if (this.waiting >= this.#waitingMax) {
      throw new ServiceUnavailableError('OVERLOADED', 'Too many passwords are waiting to be hashed. Retry after 5 s', {
        retryAfterS: 5
      })
    }
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
 * Shares the few threads that hash passwords: the kinds take turns, and within a kind its owners, and whoever asks for
 * more than fits is refused alone.
 */
export class HashingQueue {
  readonly #options: HashingQueueOptions
  /** Of two that have as many at work, the first goes first. */
  readonly #lanes: Record<HashingKind, Lane>

  constructor (options: HashingQueueOptions) {
    this.#options = options
    const { waitingMax } = options
    this.#lanes = {
      knownLogin: new Lane(waitingMax.knownLogin), login: new Lane(waitingMax.login), other: new Lane(waitingMax.other)
    }
  }

  /**
   * Throws RateLimitError when too much waits of the owner, ServiceUnavailableError `OVERLOADED` when too much waits of
   * all.
   */
  async run<T> ({ owner, kind }: HashingShare, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes[kind]
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
    const lanes = Object.values(this.#lanes)
    if (lanes.reduce((sum, { running }) => sum + running, 0) >= runningMax) return undefined
    const isReady = (lane: Lane) => lane.waiting > 0 && (lane !== this.#lanes.other || lane.running < runningOthersMax)
    return lanes.filter(isReady).reduce<Lane | undefined>(
      (best, lane) => best !== undefined && best.running <= lane.running ? best : lane, undefined
    )
  }
}
