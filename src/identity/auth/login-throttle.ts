import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Invalidations } from '../../cluster/invalidations.ts'
import { RateLimitError } from '../../errors.ts'

/** The first delay; each further failure doubles it. */
const firstDelayMs = 1000
/** About 300 guesses a day. */
const delayMaxMs = 5 * 60_000
const forgottenAfterMs = 60 * 60_000
const attemptsWaitingMax = 50
/** The number of keys in memory, each about 100 bytes. */
const keysMax = 50_000

export interface FailuresOptions {
  /** Failures that cause no delay, because people mistype. */
  free: number
  /** How many earlier failures a success removes. */
  forgives: 'all' | 'one' | 'none'
  /** Names the failures in the message. Must be unique, because it identifies the counter to other nodes. */
  what: string
  /** Exchanges failures with other nodes. */
  invalidations?: Invalidations | undefined
  now?: (() => number) | undefined
}

interface Failed { failures: number, notBefore: number }

/**
 * Counts failures by key, including those on other nodes. After the free ones, each failure doubles the delay before
 * the next attempt.
 */
export class Failures {
  readonly #failed = new LRUCache<string, Failed>({ max: keysMax, ttl: forgottenAfterMs })
  readonly #options: FailuresOptions
  readonly #now: () => number

  constructor (options: FailuresOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    options.invalidations?.on('attempt', text => {
      const [what, outcome, key] = JSON.parse(text) as [string, 'failed' | 'succeeded', string]
      if (what === options.what) this.#note(outcome, key)
    })
  }

  /** Throws RateLimitError if the delay of the key has not passed. */
  refuseEarly (key: string): void {
    const leftMs = (this.#failed.get(digest(key))?.notBefore ?? 0) - this.#now()
    if (leftMs > 0) throw tooMany(this.#options.what, Math.ceil(leftMs / 1000))
  }

  failed (key: string): void {
    this.#note('failed', digest(key))
    this.#tell('failed', digest(key))
  }

  succeeded (key: string): void {
    if (this.#options.forgives === 'none') return
    // Most keys that succeed have never failed.
    if (this.#failed.has(digest(key))) this.#tell('succeeded', digest(key))
    this.#note('succeeded', digest(key))
  }

  #tell (outcome: 'failed' | 'succeeded', key: string): void {
    this.#options.invalidations?.announce('attempt', JSON.stringify([this.#options.what, outcome, key]))
  }

  #note (outcome: 'failed' | 'succeeded', key: string): void {
    const before = this.#failed.get(key)?.failures ?? 0
    if (outcome === 'failed') {
      const failures = before + 1
      const over = failures - this.#options.free
      this.#failed.set(key, {
        failures, notBefore: over < 0 ? 0 : this.#now() + Math.min(firstDelayMs * 2 ** over, delayMaxMs)
      })
    } else if (before <= 1 || this.#options.forgives === 'all') {
      this.#failed.delete(key)
    } else {
      this.#failed.set(key, { failures: before - 1, notBefore: 0 })
    }
  }
}

/** Keys come from clients. Hashing makes them short and keeps addresses from being sent to other nodes. */
const digest = (key: string): string => hash('sha256', key, 'base64url').slice(0, 22)

interface Queue { waiting: number, last: Promise<unknown> }

/** Runs work one after the other for each key. */
class AttemptQueue {
  readonly #queues = new Map<string, Queue>()
  readonly #what: string

  constructor (what: string) { this.#what = what }

  /** Throws RateLimitError if too much work already waits for the key. */
  async take<T> (key: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? { waiting: 0, last: Promise.resolve() }
    if (queue.waiting >= attemptsWaitingMax) throw tooMany(this.#what, 1)
    this.#queues.set(key, queue)
    queue.waiting++
    const turn = queue.last.then(work)
    queue.last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      if (--queue.waiting === 0) this.#queues.delete(key)
    }
  }
}

type Attempt<T> = () => Promise<T | undefined>
/** Receives whether the network is known. */
type AccountAttempt<T> = (isKnown: boolean) => Promise<T | undefined>

export interface LoginThrottleOptions {
  now?: (() => number) | undefined
  what?: string
  invalidations?: Invalidations | undefined
  free?: number
  forgives?: FailuresOptions['forgives']
}

/**
 * Slows down guessing by key. Attempts run one after the other, and after a few failures in a row each one doubles the
 * delay before the next.
 */
export class LoginThrottle {
  readonly #queue: AttemptQueue
  readonly #failures: Failures

  constructor (options: LoginThrottleOptions = {}) {
    const { now, what = 'failed logins for this address', invalidations, free = 5, forgives = 'all' } = options
    this.#queue = new AttemptQueue(what)
    this.#failures = new Failures({ free, forgives, what, now, invalidations })
  }

  /** Runs an attempt, which returns undefined when it failed. Throws RateLimitError when it comes too soon. */
  async attempt<T> (key: string, attempt: Attempt<T>): Promise<T | undefined> {
    this.#failures.refuseEarly(key)
    return await this.#queue.take(key, async () => {
      this.#failures.refuseEarly(key)
      const result = await attempt()
      if (result === undefined) this.#failures.failed(key)
      else this.#failures.succeeded(key)
      return result
    })
  }
}

/** The account of an attempt, and the network that it comes from (`loginNetworkOf`). */
export interface Candidate {
  account: string
  network: string
  /** Returns whether the account has been logged in to from the network before. */
  isKnown: () => Promise<boolean>
}

export interface AccountThrottleOptions {
  what: string
  /** Failures of all unknown networks together that cause no delay. */
  freeOfAccount: number
  now?: () => number
  invalidations?: Invalidations | undefined
}

/**
 * Slows down guessing at an account, existing or not, without locking its owner out. Each network has five free
 * failures for an account. Networks that are new to the account also share a second count, which slows down guessing
 * from many networks; a network with an earlier login is exempt from it. Nodes count together.
 */
export class AccountThrottle {
  readonly #byNetwork: LoginThrottle
  readonly #ofStrangers: LoginThrottle

  constructor ({ what, freeOfAccount, ...options }: AccountThrottleOptions) {
    this.#byNetwork = new LoginThrottle({ ...options, what })
    // A success removes no failures here: logins of the owner must not allow a stranger more guesses.
    this.#ofStrangers = new LoginThrottle({
      ...options,
      what: `${what} from new networks`,
      free: freeOfAccount,
      forgives: 'none'
    })
  }

  /** Runs an attempt, which returns undefined when it failed. Throws RateLimitError when it comes too soon. */
  async attempt<T> ({ account, network, isKnown }: Candidate, attempt: AccountAttempt<T>): Promise<T | undefined> {
    return await this.#byNetwork.attempt(
      `${network} ${account}`,
      async () =>
        await isKnown()
          ? await attempt(true)
          : await this.#ofStrangers.attempt(account, async () => await attempt(false))
    )
  }
}

const tooMany = (what: string, retryAfterS: number) =>
  new RateLimitError('RATE_LIMITED', `Too many ${what}. Retry after ${retryAfterS} s`, { retryAfterS })
