import { Readable } from 'node:stream'
import type { StreamQuery } from '../../schemas/debugger.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { isAllowed } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { closeCodes, type CloseReason } from '../identity/auth/close-codes.ts'
import { RateLimitError } from '../errors.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { askerFor } from './asker.ts'
import { StreamCursor } from './stream-cursor.ts'
import type { StreamMessage, StreamReader } from './stream-reader.ts'

/** Interval of polls for rows of other nodes. Rows of this node are read at once. */
const pollMs = 1000
const reconnectMs = 2000
const streamsMax = 200
const streamsPerScopeMax = 20
/** Time for a closing stream to send its last message. */
const goodbyeMs = 1000

export interface TraceStreamsOptions {
  reader: StreamReader
  metrics: Metrics
  log: { warn (fields: object, message: string): void }
  heartbeatMs: number
  /** Registers a listener that receives the keys of scopes whose traces this node stored. Returns how to remove it. */
  onStored (listener: (scopes: ReadonlySet<string>) => void): () => void
}

export interface OpenStream { readonly scope: Scope, principal: Principal, close (reason: CloseReason): void }

/**
 * Sends traces as server-sent events while they are stored. A stream reads the store at the pace of its client: a slow
 * client falls behind without using memory, and a reconnecting one continues after the ID of its last message.
 */
export class TraceStreams {
  readonly #options: TraceStreamsOptions
  readonly #open = new Set<OpenStream>()
  readonly #sweep: NodeJS.Timeout

  constructor (options: TraceStreamsOptions) {
    this.#options = options
    this.#sweep = setInterval(
      () => this.closeWhere(({ principal }) => principal.expiresAt < Date.now(), closeCodes.CREDENTIAL_EXPIRED), 1000
    ).unref()
  }

  get size (): number { return this.#open.size }

  all (): Iterable<OpenStream> { return this.#open }

  /** Applies new permissions to a stream, and closes it when they do not suffice. */
  adopt (stream: OpenStream, now: Principal): void {
    stream.principal = now
    if (!isAllowed(now, stream.scope, 'debugger:read')) stream.close(closeCodes.CREDENTIAL_REVOKED)
  }

  /**
   * Returns the text of a stream that starts now or after `lastEventId`. Throws RateLimitError `STREAM_LIMIT` or
   * ValidationError.
   */
  async open (scope: Scope, principal: Principal, filter: StreamQuery, lastEventId?: string): Promise<Readable> {
    const { reader, metrics } = this.#options
    const ofScope = [...this.#open].filter(stream => scopeKey(stream.scope) === scopeKey(scope)).length
    if (this.#open.size >= streamsMax || ofScope >= streamsPerScopeMax) {
      throw new RateLimitError(
        'STREAM_LIMIT',
        ofScope >= streamsPerScopeMax
          ? `The scope already has ${streamsPerScopeMax} open trace streams on this node. Close one first`
          : `The node already has ${streamsMax} open trace streams. Retry later`,
        { retryAfterS: 5 }
      )
    }
    const stop = new AbortController()
    let reason: CloseReason | undefined
    const stream: OpenStream = {
      scope,
      principal,
      close: why => {
        reason ??= why
        stop.abort()
      }
    }
    this.#open.add(stream)
    metrics.traceStreams.set(this.#open.size)
    const leave = () => {
      stop.abort()
      if (this.#open.delete(stream)) metrics.traceStreams.set(this.#open.size)
    }
    let cursor: StreamCursor
    try {
      cursor = lastEventId === undefined || lastEventId === ''
        ? await reader.start(scope)
        : StreamCursor.parse(lastEventId)
    } catch (error) {
      leave()
      throw error
    }
    const readable = Readable.from(this.#text(stream, filter, cursor, stop.signal, () => reason), { objectMode: false })
    readable.once('close', leave)
    stop.signal.addEventListener('abort', () => {
      setTimeout(() => readable.destroy(), goodbyeMs).unref()
    }, { once: true })
    return readable
  }

  closeWhere (isMeant: (stream: OpenStream) => boolean, reason: CloseReason): void {
    for (const stream of this.#open) if (isMeant(stream)) stream.close(reason)
  }

  closeAll (): void {
    clearInterval(this.#sweep)
    this.closeWhere(() => true, closeCodes.RESTART)
  }

  async * #text (
    stream: OpenStream, filter: StreamQuery, cursor: StreamCursor, stop: AbortSignal,
    reason: () => CloseReason | undefined
  ): AsyncGenerator<string> {
    const { reader, heartbeatMs, log } = this.#options
    const own = scopeKey(stream.scope)
    const maySee = (topic: string) => askerFor(stream.principal, stream.scope).maySee(topic)
    const { within } = askerFor(stream.principal, stream.scope)
    const alarm = new Alarm(stop, ring => this.#options.onStored(scopes => { if (scopes.has(own)) ring() }))
    try {
      yield `retry: ${reconnectMs}\nid: ${cursor.toString()}\n\n`
      if (reader.isTooOld(cursor)) {
        yield textOf({
          id: cursor.toString(), event: 'dropped',
          data: { events: null, reason: 'Unread traces have expired' }
        })
      }
      let heartbeatAt = Date.now() + heartbeatMs
      while (!stop.aborted) {
        alarm.reset()
        try {
          for await (const message of reader.since({ scope: stream.scope, within, maySee }, filter, cursor)) {
            if (stop.aborted) break
            yield textOf(message)
          }
        } catch (err) {
          // The store is unavailable. The cursor stays, so nothing is missed.
          if (!stop.aborted) log.warn({ err }, 'trace_stream.not_read')
        }
        await alarm.rings(Math.min(pollMs, Math.max(1, heartbeatAt - Date.now())))
        if (Date.now() < heartbeatAt || stop.aborted) continue
        heartbeatAt = Date.now() + heartbeatMs
        // Advances the client's cursor past traces that its filter excluded.
        yield `: alive\nid: ${cursor.toString()}\n\n`
      }
      const why = reason()
      if (why !== undefined) yield `event: closing\ndata: ${JSON.stringify(why)}\n\n`
    } finally {
      alarm.close()
    }
  }
}

const textOf = ({ id, event, data }: StreamMessage): string =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** Waits until traces are stored, the stream ends, or a timeout. Signals between `reset` and `rings` are not missed. */
class Alarm {
  #hasRung = false
  #ring: () => void = () => {}
  readonly #off: () => void
  readonly #stop: AbortSignal
  readonly #onStop = (): void => this.#rung()

  constructor (stop: AbortSignal, onStored: (listener: () => void) => () => void) {
    this.#stop = stop
    this.#off = onStored(() => this.#rung())
    stop.addEventListener('abort', this.#onStop)
  }

  reset (): void { this.#hasRung = false }

  async rings (withinMs: number): Promise<void> {
    if (this.#hasRung || this.#stop.aborted) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, withinMs)
      this.#ring = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  close (): void {
    this.#off()
    this.#stop.removeEventListener('abort', this.#onStop)
    this.#ring()
  }

  #rung (): void {
    this.#hasRung = true
    this.#ring()
  }
}
