import { LRUCache } from 'lru-cache'
import type { Notices } from '../cluster/notices.ts'
import { RateLimitError } from '../errors.ts'

/** The first wait; each further failure doubles it. */
const firstDelayMs = 1000
/** About 300 guesses a day against one account, and no stranger locks its owner out for longer. */
const delayMaxMs = 5 * 60_000
const forgottenAfterMs = 60 * 60_000
const attemptsWaitingMax = 50

export interface FailuresOptions {
  /** Failures that cost nothing: people mistype. */
  free: number
  /** What a success takes off the failures before it: all, or one. */
  forgives: 'all' | 'one'
  /** Of whom it says that they failed too often. No two have the same. */
  what: string
  /** Where other nodes hear of failures here, and this one of theirs. */
  notices?: Notices | undefined
  now?: (() => number) | undefined
}

interface Failed { failures: number, notBefore: number }

/** Counts failures by key, those of other nodes included; after the free ones each makes the next attempt wait longer than the one before. */
export class Failures {
  readonly #failed = new LRUCache<string, Failed>({ max: 20_000, ttl: forgottenAfterMs })
  readonly #options: FailuresOptions
  readonly #now: () => number

  constructor (options: FailuresOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    options.notices?.on('attempt', text => {
      const [what, outcome, key] = JSON.parse(text) as [string, 'failed' | 'succeeded', string]
      if (what === options.what) this.#note(outcome, key)
    })
  }

  /** Throws RateLimitError when an attempt comes too soon. */
  refuseEarly (key: string): void {
    const leftMs = (this.#failed.get(key)?.notBefore ?? 0) - this.#now()
    if (leftMs > 0) throw tooMany(this.#options.what, Math.ceil(leftMs / 1000))
  }

  failed (key: string): void {
    this.#note('failed', key)
    this.#tell('failed', key)
  }

  succeeded (key: string): void {
    // Most succeed who never failed.
    if (this.#failed.has(key)) this.#tell('succeeded', key)
    this.#note('succeeded', key)
  }

  #tell (outcome: 'failed' | 'succeeded', key: string): void {
    this.#options.notices?.tell('attempt', JSON.stringify([this.#options.what, outcome, key]))
  }

  #note (outcome: 'failed' | 'succeeded', key: string): void {
    const before = this.#failed.get(key)?.failures ?? 0
    if (outcome === 'failed') {
      const failures = before + 1
      const over = failures - this.#options.free
      this.#failed.set(key, { failures, notBefore: over < 0 ? 0 : this.#now() + Math.min(firstDelayMs * 2 ** over, delayMaxMs) })
    } else if (before <= 1 || this.#options.forgives === 'all') {
      this.#failed.delete(key)
    } else {
      this.#failed.set(key, { failures: before - 1, notBefore: 0 })
    }
  }
}

interface Queue { waiting: number, last: Promise<unknown> }

/**
 * Slows down guessing at one account, whether it exists or not: attempts are taken one after the other, and after a
 * few failures in a row each must wait longer than the one before. A success clears the record.
 */
export class LoginGate {
  readonly #queues = new Map<string, Queue>()
  readonly #failures: Failures
  readonly #what: string

  constructor ({ now, what = 'failed logins for this address', notices }: { now?: () => number, what?: string, notices?: Notices | undefined } = {}) {
    this.#what = what
    this.#failures = new Failures({ free: 5, forgives: 'all', what, now, notices })
  }

  /** Runs an attempt, which answers undefined when it failed. Throws RateLimitError when it comes too soon. */
  async attempt<T> (account: string, attempt: () => Promise<T | undefined>): Promise<T | undefined> {
    const key = account.toLowerCase()
    this.#failures.refuseEarly(key)
    const queue = this.#queues.get(key) ?? { waiting: 0, last: Promise.resolve() }
    if (queue.waiting >= attemptsWaitingMax) throw tooMany(this.#what, 1)
    this.#queues.set(key, queue)
    queue.waiting++
    const turn = queue.last.then(() => this.#run(key, attempt))
    queue.last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      if (--queue.waiting === 0) this.#queues.delete(key)
    }
  }

  async #run<T> (key: string, attempt: () => Promise<T | undefined>): Promise<T | undefined> {
    this.#failures.refuseEarly(key)
    const result = await attempt()
    if (result === undefined) this.#failures.failed(key)
    else this.#failures.succeeded(key)
    return result
  }
}

const tooMany = (what: string, retryAfterS: number) =>
  new RateLimitError('RATE_LIMITED', `Too many ${what}; come back in ${retryAfterS} s`, { retryAfterS })

/** Whoever has one address of an IPv6 network has all 2^64 of them. */
export function networkOf (address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  return [...groups, ...Array<string>(missing).fill('0'), ...(tail ?? '').split(':')].slice(0, 4).join(':')
}
