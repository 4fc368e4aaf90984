import { Redis } from 'ioredis'
import type { RedisNamespace } from '../redis-namespace.ts'

/** A count that takes longer is made here alone: nobody's request waits for a Redis that hangs. */
const answerMs = 250
/** After a count that failed, Redis is left alone for so long. */
const pauseMs = 1000

/** In one step, so that a count without an end cannot be left behind. */
const countLua = `
  local count = redis.call('INCR', KEYS[1])
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[1])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return {count, left}`

/** None is taken from a window that is over. */
const uncountLua = `
  if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end`

interface CountingRedis extends Redis {
  countOne (key: string, windowMs: number): Promise<[number, number]>
  uncountOne (key: string): Promise<unknown>
}

export interface Count { count: number, leftMs: number }

/**
 * Counts over all nodes, in windows that begin with the first. They are gone with Redis' memory, and with their window.
 */
export class SharedCounters {
  readonly #redis: CountingRedis
  readonly #namespace: RedisNamespace
  #pausedUntil = 0

  constructor ({ url, namespace }: { url: string, namespace: RedisNamespace }) {
    this.#namespace = namespace
    this.#redis = new Redis(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      enableAutoPipelining: true,
      commandTimeout: answerMs,
      retryStrategy: attempt => Math.min(attempt * 50, 1000)
    }) as CountingRedis
    this.#redis.defineCommand('countOne', { numberOfKeys: 1, lua: countLua })
    this.#redis.defineCommand('uncountOne', { numberOfKeys: 1, lua: uncountLua })
    // The bus says when Redis is away.
    this.#redis.on('error', () => {})
  }

  /** Undefined while Redis does not answer: the caller counts for itself. */
  async count (key: string, windowMs: number): Promise<Count | undefined> {
    if (this.#redis.status !== 'ready' || performance.now() < this.#pausedUntil) return undefined
    try {
      const [count, leftMs] = await this.#redis.countOne(this.#namespace.nameOf(`count:${key}`), windowMs)
      return { count, leftMs }
    } catch {
      this.#pausedUntil = performance.now() + pauseMs
      return undefined
    }
  }

  /** Takes one back. While Redis does not answer, it stays counted. */
  async uncount (key: string): Promise<void> {
    if (this.#redis.status !== 'ready' || performance.now() < this.#pausedUntil) return
    await this.#redis.uncountOne(this.#namespace.nameOf(`count:${key}`)).catch(() => {})
  }

  close (): void {
    this.#redis.disconnect()
  }
}
