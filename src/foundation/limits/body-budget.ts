import type { Readable } from 'node:stream'
import { PayloadTooLargeError, RateLimitError, ServiceUnavailableError } from '../../errors.ts'
import type { Metrics } from '../observability/metrics.ts'

export interface BodyLimits { nodeBytesMax: number, applicationBytesMax: number, addressBytesMax: number }

export interface BodyOwner { kind: 'application' | 'address', id: string }

const retryAfterS = 2

/**
 * Counts the bytes of request bodies from their arrival until they are answered. A body counts as it arrives, not by
 * its Content-Length, so that a client that announces much and sends nothing takes nothing from others.
 */
export class BodyBudget {
  readonly #limits: BodyLimits
  readonly #metrics: Pick<Metrics, 'requestBodyBytes' | 'requestBodiesRefused'>
  readonly #byOwner = new Map<string, number>()
  #bytes = 0

  constructor (limits: BodyLimits, metrics: Pick<Metrics, 'requestBodyBytes' | 'requestBodiesRefused'>) {
    this.#limits = limits
    this.#metrics = metrics
  }

  get bytes () { return this.#bytes }

  /**
   * Throws RateLimitError `RATE_LIMITED` when the owner's share is used up, ServiceUnavailableError `OVERLOADED` when
   * the node's budget is.
   */
  take ({ kind, id }: BodyOwner, bytes: number): void {
    const key = `${kind} ${id}`
    const own = (this.#byOwner.get(key) ?? 0) + bytes
    const max = kind === 'application' ? this.#limits.applicationBytesMax : this.#limits.addressBytesMax
    if (own > max) {
      this.#metrics.requestBodiesRefused.inc({ limit: kind })
      throw new RateLimitError(
        'RATE_LIMITED',
        `The ${kind} has more than ${max} bytes of unanswered requests. Retry in ${retryAfterS} s`,
        { retryAfterS }
      )
    }
    if (this.#bytes + bytes > this.#limits.nodeBytesMax) {
      this.#metrics.requestBodiesRefused.inc({ limit: 'node' })
      throw new ServiceUnavailableError(
        'OVERLOADED',
        'The server has reached its limit of unanswered request bytes. Retry after the time in Retry-After',
        { retryAfterS }
      )
    }
    this.#byOwner.set(key, own)
    this.#change(bytes)
  }

  release ({ kind, id }: BodyOwner, bytes: number): void {
    const key = `${kind} ${id}`
    const left = (this.#byOwner.get(key) ?? 0) - bytes
    if (left > 0) this.#byOwner.set(key, left)
    else this.#byOwner.delete(key)
    this.#change(-bytes)
  }

  #change (bytes: number): void {
    this.#bytes += bytes
    this.#metrics.requestBodyBytes.set(this.#bytes)
  }
}

/**
 * The share of one request in the budget. After the end of the request nothing more is counted: a decoder may still
 * emit buffered data.
 */
export class HeldBody {
  readonly #budget: BodyBudget
  readonly #owner: BodyOwner
  #bytes = 0
  #isOver = false

  constructor (budget: BodyBudget, owner: BodyOwner) {
    this.#budget = budget
    this.#owner = owner
  }

  /** Throws the errors of `BodyBudget.take`. */
  take (bytes: number): void {
    if (this.#isOver) return
    this.#budget.take(this.#owner, bytes)
    this.#bytes += bytes
  }

  giveBack (bytes: number): void {
    if (this.#isOver) return
    this.#budget.release(this.#owner, bytes)
    this.#bytes -= bytes
  }

  end (): void {
    if (this.#isOver) return
    this.giveBack(this.#bytes)
    this.#isOver = true
  }
}

export interface BodyReading {
  bytesMax: number
  /** The `Content-Length`; NaN without one. */
  announced: number
  /** Called with the bytes of each chunk before it is kept. If it throws, reading ends with that error. */
  take (bytes: number): void
}

/**
 * Reads a body of at most `bytesMax` bytes. Fails with PayloadTooLargeError `BODY_TOO_LARGE`, or with what `take`
 * throws.
 */
export function readBody (
  payload: Readable, { bytesMax, announced, take }: BodyReading, done: (error: Error | null, body?: Buffer) => void
): void {
  const tooLarge = () => new PayloadTooLargeError('BODY_TOO_LARGE', `The body is larger than ${bytesMax} bytes`)
  if (announced > bytesMax) return done(tooLarge())
  const pieces: Buffer[] = []
  let bytes = 0
  const finish = (error: Error | null) => {
    payload.off('data', onData).off('end', onEnd).off('error', finish)
    if (error === null) done(null, pieces.length === 1 ? pieces[0] : Buffer.concat(pieces))
    else done(error)
  }
  const onEnd = () => finish(null)
  const onData = (piece: Buffer) => {
    bytes += piece.length
    try {
      if (bytes > bytesMax) throw tooLarge()
      take(piece.length)
    } catch (error) {
      return finish(error as Error)
    }
    pieces.push(piece)
  }
  payload.on('data', onData).on('end', onEnd).on('error', finish)
  payload.resume()
}
