import { RateLimitError, ServiceUnavailableError } from '../../errors.ts'

/**
 * The kinds of work: logins from networks that are known to the account, other logins, and everything else. Each kind
 * has its own places in the queue, so that strangers on any number of networks block neither a known network nor an
 * administrator.
 */
export type HashingKind = 'knownLogin' | 'login' | 'other'

/** Identifies the work that shares a turn. */
export interface HashingShare {
  /** An application, a user or a network. Owners take turns, however much work each of them adds. */
  owner: string
  kind: HashingKind
}

export interface HashingQueueOptions {
  /** Work that runs at a time; `runningOthersMax` is the part of it that may be other than logins. */
  runningMax: number
  runningOthersMax: number
  /** Work that may wait, by owner and by kind. */
  waitingOfOwnerMax: number
  waitingMax: Readonly<Record<HashingKind, number>>
}

type Start = () => void

/** Holds waiting work by owner. The owner whose last turn was longest ago is next. */
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
        `At most ${ofOwnerMax} of your passwords may wait to be hashed. Retry after 1 s`,
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
 * Shares the few threads that hash passwords. The kinds take turns, and within a kind the owners do. An owner that adds
 * too much work is refused without affecting the others.
 */
export class HashingQueue {
  readonly #options: HashingQueueOptions
  /** If two lanes run the same amount of work, the first one is next. */
  readonly #lanes: Record<HashingKind, Lane>

  constructor (options: HashingQueueOptions) {
    this.#options = options
    const { waitingMax } = options
    this.#lanes = {
      knownLogin: new Lane(waitingMax.knownLogin), login: new Lane(waitingMax.login), other: new Lane(waitingMax.other)
    }
  }

  /**
   * Runs work when its turn comes. Throws RateLimitError if too much work of the owner waits, ServiceUnavailableError
   * `OVERLOADED` if too much work of the kind waits.
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
