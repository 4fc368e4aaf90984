import { LRUCache } from 'lru-cache'
import { RateLimitError } from '../errors.ts'

/** Failures in a row that cost nothing: people mistype. */
const freeFailures = 5
/** The first wait; each further failure doubles it. */
const firstDelayMs = 1000
/** About 300 guesses a day against one account, and no stranger locks its owner out for longer. */
const delayMaxMs = 5 * 60_000
const forgottenAfterMs = 60 * 60_000
const attemptsWaitingMax = 50

interface Account {
  failures: number
  notBefore: number
  waiting: number
  last: Promise<unknown>
}

/**
 * Slows down guessing at one account, whether it exists or not: attempts are taken one after the other, and after a
 * few failures in a row each must wait longer than the one before. A success clears the record.
 */
export class LoginGate {
  readonly #accounts = new LRUCache<string, Account>({ max: 20_000, ttl: forgottenAfterMs })
  readonly #now: () => number

  constructor ({ now = Date.now }: { now?: () => number } = {}) {
    this.#now = now
  }

  /** Runs an attempt, which answers undefined when it failed. Throws RateLimitError when it comes too soon. */
  async attempt<T> (account: string, attempt: () => Promise<T | undefined>): Promise<T | undefined> {
    const key = account.toLowerCase()
    const record = this.#accounts.get(key) ?? { failures: 0, notBefore: 0, waiting: 0, last: Promise.resolve() }
    this.#refuseEarly(record)
    if (record.waiting >= attemptsWaitingMax) throw tooMany(1)
    this.#accounts.set(key, record)
    record.waiting++
    const turn = record.last.then(() => this.#run(key, record, attempt))
    record.last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      record.waiting--
    }
  }

  async #run<T> (key: string, record: Account, attempt: () => Promise<T | undefined>): Promise<T | undefined> {
    this.#refuseEarly(record)
    const result = await attempt()
    if (result === undefined) {
      record.failures++
      if (record.failures >= freeFailures) record.notBefore = this.#now() + Math.min(firstDelayMs * 2 ** (record.failures - freeFailures), delayMaxMs)
    } else {
      record.failures = 0
      record.notBefore = 0
    }
    this.#accounts.set(key, record)
    return result
  }

  #refuseEarly ({ notBefore }: Account): void {
    const leftMs = notBefore - this.#now()
    if (leftMs > 0) throw tooMany(Math.ceil(leftMs / 1000))
  }
}

const tooMany = (retryAfterS: number) =>
  new RateLimitError('RATE_LIMITED', `Too many failed logins for this address; come back in ${retryAfterS} s`, { retryAfterS })
