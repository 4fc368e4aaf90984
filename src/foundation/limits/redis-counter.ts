import { Redis } from 'ioredis'
import type { RedisNamespace } from '../redis-namespace.ts'
import type { Count, SharedCounter } from './shared-counter.ts'

/** Limit of one Redis command. After it, the node counts locally, so that a hanging Redis delays no request. */
const answerMs = 250
/** Pause after a failed command. */
const pauseMs = 1000

/** In one step, so that no counter is left without an expiry. */
const countLua = `
  local count = redis.call('INCR', KEYS[1])
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[1])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return {count, left}`

/** A counter whose window has expired is not decremented. */
const uncountLua = `
  if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end`

interface CountingRedis extends Redis {
  countOne (key: string, windowMs: number): Promise<[number, number]>
  uncountOne (key: string): Promise<unknown>
}

/** Counts in Redis. A counter is lost when its window ends or when Redis loses its memory. */
export class RedisCounter implements SharedCounter {
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
    // The bus reports when Redis is unreachable.
    this.#redis.on('error', () => {})
  }

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

  async uncount (key: string): Promise<void> {
    if (this.#redis.status !== 'ready' || performance.now() < this.#pausedUntil) return
    await this.#redis.uncountOne(this.#namespace.nameOf(`count:${key}`)).catch(() => {})
  }

  close (): void {
    this.#redis.disconnect()
  }
}
