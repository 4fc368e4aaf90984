import { abortable, backoffMs } from '../backoff.ts'
import { Emitter } from '../emitter.ts'
import { RealtimeError } from '../errors.ts'
import type { AnswerTo, AuthAnswer, Fields, Messages, RequestName } from '../protocol/protocol.ts'
import { isRefusedCode, type Link, type LinkClose, type Opened, type Transport } from './link.ts'
import { Pace } from './pace.ts'
import { isExpiry, type TokenInput, type TokenSource } from './token.ts'

/**
 * - `connecting`: the first connection is being made.
 * - `connected`: the server has accepted the credential.
 * - `reconnecting`: the connection was lost; the client tries again.
 * - `disconnected`: not connected, and not trying: before `connect()`, after `disconnect()`, or after a refusal that a
 *   retry cannot change.
 */
export type ConnectionState = 'connecting' | 'connected' | 'disconnected' | 'reconnecting'

export interface ConnectionChange {
  readonly state: ConnectionState
  /** Why the connection was lost or is not made. */
  readonly error?: RealtimeError
  /** The close code of the server (docs/PROTOCOL.md#close-codes). */
  readonly code?: number
}

/** Receives the name of each thing that happens, and its details. */
export type Debug = (event: string, details: object) => void

export interface ConnectionOptions {
  url: URL
  tokens: TokenSource
  applicationId?: string | undefined
  environment?: string | undefined
  transport: Transport
  reconnection: boolean
  reconnectionAttempts: number
  reconnectionDelayMs: number
  reconnectionDelayMaxMs: number
  debug?: Debug | undefined
}

export interface ConnectionEvents extends Messages {
  change: ConnectionChange
  /** A link was opened. `previousSocketId` is the id of the link before. */
  open: { socketId: string, previousSocketId: string | undefined }
  /** The link was lost. Pending requests have been rejected. */
  lost: undefined
  /** A fresh credential was accepted on the open link. */
  refreshed: AuthAnswer
  /** Something failed that no caller waits for. */
  error: RealtimeError
}

const pingIntervalMs = 25_000
const pongTimeoutMs = 10_000
/** After a wake-up, a dead link should show quickly. */
const wakeTimeoutMs = 4000
const openTimeoutMs = 20_000
/** A request that was not answered in this time, although pings are, will not be. */
const answerTimeoutMs = 30_000
/**
 * A link that has lasted as long resets the back-off. Longer than the 5 s after which the server closes a connection
 * that sends too fast.
 */
const stableMs = 15_000
/** A link with a credential that was about to expire lasts up to 3 s. */
const acceptedMs = 5000
/** The shortest wait after 4429, if the server gave none. */
const limitedMs = 2000
/** The longest message that the server accepts is 1 MiB; the rest is for the encoding. */
const messageBytesMax = 1024 * 1024 - 1024
/** The longest that `setTimeout` can wait. */
const timerMaxMs = 2 ** 31 - 1

type Timer = ReturnType<typeof setTimeout>
type Settle = (error: RealtimeError | undefined, answer?: unknown) => void

/**
 * The connection to the server across links: it reconnects, refreshes the credential before it expires, and carries
 * requests. Subscriptions and channels restore themselves on `open`.
 */
export class Connection extends Emitter<ConnectionEvents> {
  readonly #options: ConnectionOptions
  readonly #pace = new Pace()
  /** Requests without an answer, in their order, and when each was sent. */
  readonly #pending = new Map<Settle, number>()
  #current: ConnectionChange = { state: 'disconnected' }
  #link: Link | undefined
  #socketId: string | undefined
  /** Changes with each step, so that whatever a step before left behind has no effect. */
  #step = 0
  /** Failures in a row. */
  #attempt = 0
  #refreshAttempt = 0
  #openedAt: number | undefined
  #hasOpened = false
  /** The last token that was refused, while others are tried. */
  #refused: string | undefined
  #isHeard = false
  #token = ''
  /** When to try again, if the client waits for that. */
  #retryAt: number | undefined
  /** Until the next try, the end of an attempt, the next ping, or the end of the wait for its answer. */
  #timer: Timer | undefined
  #refreshTimer: Timer | undefined
  #stopListening = () => {}

  constructor (options: ConnectionOptions) {
    super()
    this.#options = options
  }

  /** The state, and the reason for it. The same object until it changes. */
  get current (): ConnectionChange { return this.#current }
  get state (): ConnectionState { return this.#current.state }
  get isConnected (): boolean { return this.state === 'connected' }
  /** The id of the open link, or of the last one. */
  get socketId (): string | undefined { return this.#socketId }

  /** Connects, unless connected or about to be. */
  connect (): void {
    if (this.state !== 'disconnected') return
    this.#attempt = 0
    this.#hasOpened = false
    this.#refused = undefined
    this.#stopListening = listenForWakeUps(() => this.wake())
    const step = ++this.#step
    this.#change({ state: 'connecting' })
    if (step === this.#step) this.#open()
  }

  /** Resolves when connected. Rejects when disconnected for good, or with the reason of the signal. */
  settled (signal?: AbortSignal): Promise<void> {
    let off = () => {}
    return abortable<void>(signal, (resolve, reject) => {
      const check = ({ state, error }: ConnectionChange) => {
        if (state === 'connected') resolve()
        else if (state === 'disconnected') reject(error ?? disconnected())
      }
      off = this.on('change', check)
      check(this.#current)
    }).finally(() => off())
  }

  /** Closes the connection until `connect()`. */
  disconnect (): void {
    if (this.state === 'disconnected') return
    const link = this.#link
    this.#end({ state: 'disconnected' }, disconnected())
    link?.close()
  }

  /**
   * Sends a request on the open link, and calls `done` once with the answer or an error: the server's refusal, or
   * `CONNECTION_LOST` if the link closes before the answer, or is not open. `done` is called before any message that
   * follows the answer; the callback of a promise would come later.
   */
  call<N extends RequestName> (
    name: N, fields: Fields<N>, done: (error: RealtimeError | undefined, answer?: AnswerTo<N>) => void
  ): void {
    const link = this.#link
    if (link === undefined || !this.isConnected) return done(connectionLost())
    const bytes = bytesOf(fields)
    if (bytes > messageBytesMax) {
      return done(new RealtimeError('BODY_TOO_LARGE', `A message may have 1 MiB; "${name}" has ${bytes} bytes`))
    }
    const settle: Settle = (error, answer) => {
      if (!this.#pending.delete(settle)) return
      this.#isHeard = true
      this.#pace.answered(bytes, answer === undefined ? 0 : bytesOf(answer))
      // The answer to a request is of its type; docs/asyncapi.json pairs them.
      done(error, answer as AnswerTo<N>)
    }
    this.#pending.set(settle, Infinity)
    this.#pace.run(bytes, () => {
      this.#pending.set(settle, Date.now())
      link.request(name, fields, settle)
    })
  }

  /** As `call`, with a promise. An aborted signal rejects at once, with its reason; the request may be carried out. */
  request<N extends RequestName> (name: N, fields: Fields<N>, signal?: AbortSignal): Promise<AnswerTo<N>> {
    return abortable(signal, (resolve, reject) => this.call(name, fields, (error, answer) => {
      if (answer === undefined) reject(error)
      else resolve(answer)
    }))
  }

  /** Tries again at once if the client waits for that; otherwise checks that the link is alive. */
  wake (): void {
    if (this.#retryAt !== undefined) {
      // Not before the end of the wait that the server requires.
      if (this.#current.error?.retryAfterMs === undefined || Date.now() > this.#retryAt) this.#open()
    } else if (this.isConnected) {
      this.#ping(wakeTimeoutMs)
      this.#scheduleRefresh()
    }
  }

  /**
   * Replaces the credential. On an open link, the server must accept it as one of the same subject and application;
   * otherwise the one before stays, and the server's refusal is thrown.
   */
  async setToken (input: TokenInput): Promise<void> {
    const restore = this.#options.tokens.set(input)
    try {
      if (this.isConnected) await this.#present(await this.#options.tokens.get())
      else if (this.state !== 'disconnected' && this.#retryAt === undefined) {
        // The attempt under way presents the credential before.
        const link = this.#link
        this.#link = undefined
        this.#open()
        link?.close()
      }
    } catch (error) {
      if (isRefusal(error)) restore()
      throw error
    }
  }

  /** Presents a fresh credential on the open link. */
  async #present (token: string): Promise<void> {
    const { tokens } = this.#options
    if (!this.isConnected || token === this.#token) return this.#scheduleRefresh()
    const answer = await this.request('auth', { token }).catch((error: unknown) => {
      if (isRefusal(error)) tokens.forget(token)
      throw error
    })
    this.#token = token
    tokens.learn(token, answer.expiresAt)
    this.#refreshAttempt = 0
    this.#scheduleRefresh()
    this.emit('refreshed', answer)
  }

  #scheduleRefresh (waitMs = this.#options.tokens.staleInMs): void {
    clearTimeout(this.#refreshTimer)
    if (waitMs === Infinity || !this.isConnected) return
    const step = this.#step
    this.#refreshTimer = setTimeout(() => {
      if (waitMs > timerMaxMs) return this.#scheduleRefresh()
      this.#options.tokens.refresh().then(token => this.#present(token)).catch((error: unknown) => {
        if (step !== this.#step || !(error instanceof RealtimeError)) return
        this.emit('error', error)
        // Until the server closes the link, there is time for another try. A token of another subject stays one.
        if (error.code === 'PERMISSION_DENIED') return
        this.#scheduleRefresh(Math.max(error.retryAfterMs ?? 0, 1000) + backoffMs(this.#refreshAttempt++))
      })
    }, Math.min(waitMs, timerMaxMs))
  }

  #open (): void {
    const step = ++this.#step
    clearTimeout(this.#timer)
    this.#retryAt = undefined
    const { tokens, url, transport, applicationId, environment } = this.#options
    const ifCurrent = <T> (handle: (value: T) => void) => (value: T) => { if (step === this.#step) handle(value) }
    const message = <N extends keyof Messages> (name: N) => ifCurrent((body: ConnectionEvents[N]) => {
      this.#isHeard = true
      this.emit(name, body)
    })
    tokens.get().then(ifCurrent(token => {
      this.#token = token
      const link = this.#link = transport(url, {
        token,
        ...(applicationId !== undefined && { applicationId }),
        ...(environment !== undefined && { environment })
      }, {
        opened: ifCurrent(hello => this.#opened(hello)),
        closed: ifCurrent(close => this.#closed(close)),
        event: message('event'),
        message: message('message'),
        presence: message('presence'),
        resync: message('resync')
      })
      this.#expect(link, openTimeoutMs)
    })).catch(ifCurrent((error: RealtimeError) => {
      this.#closed({ mayReconnect: true, error })
      // Only the application can repair its token function.
      if (this.state !== 'disconnected') this.emit('error', error)
    }))
  }

  #opened ({ socketId, expiresAt }: Opened): void {
    const previousSocketId = this.#socketId
    const step = this.#step
    this.#socketId = socketId
    this.#openedAt = Date.now()
    this.#hasOpened = true
    this.#options.tokens.learn(this.#token, expiresAt)
    this.#current = { state: 'connected' }
    this.#pingLater()
    this.#scheduleRefresh()
    this.emit('open', { socketId, previousSocketId })
    if (step === this.#step) this.#change(this.#current)
  }

  #closed ({ code, mayReconnect, reason, error = closeError(code, reason) }: LinkClose): void {
    const { tokens, reconnection, reconnectionAttempts, reconnectionDelayMs, reconnectionDelayMaxMs } = this.#options
    const openMs = this.#openedAt === undefined ? 0 : Date.now() - this.#openedAt
    if (openMs > stableMs) this.#attempt = 0
    // A credential that was accepted and has ended says nothing against the next one.
    if (openMs > acceptedMs || (code === 4402 && this.#openedAt !== undefined)) this.#refused = undefined
    const refused = this.#refused
    // The credential was refused, or has ended. One fresh one is tried, if it can be fetched, and others as long as the
    // server finds each of them expired: on a slow network, a short life ends on the way.
    const isRefused = !mayReconnect && code !== undefined && isRefusedCode(code)
    const canRefresh = isRefused && tokens.isRefreshable &&
      (refused === undefined || (refused !== this.#token && isExpiry(error)))
    if (isRefused) {
      tokens.forget(this.#token)
      this.#refused = this.#token
    }
    const willRetry = reconnection && (mayReconnect || canRefresh) && this.#attempt < reconnectionAttempts
    const state = !willRetry ? 'disconnected' : this.#hasOpened ? 'reconnecting' : 'connecting'
    const delay = { baseMs: reconnectionDelayMs, maxMs: reconnectionDelayMaxMs }
    const waitMs = canRefresh && refused === undefined ? 0 : backoffMs(this.#attempt, delay)
    this.#attempt++
    const step = this.#end(
      { state, error, ...(code !== undefined && { code }) }, willRetry ? connectionLost() : error,
      waitMs + (error.retryAfterMs ?? (code === 4429 ? limitedMs : 0))
    )
    if (!willRetry && step === this.#step) this.emit('error', error)
  }

  /** Leaves the link, if there is one, for another state. Returns the step. */
  #end (change: ConnectionChange, reason: RealtimeError, retryMs = 0): number {
    const step = ++this.#step
    clearTimeout(this.#timer)
    clearTimeout(this.#refreshTimer)
    this.#link = this.#openedAt = this.#retryAt = undefined
    this.#current = change
    if (change.state === 'disconnected') this.#stopListening()
    else {
      this.#retryAt = Date.now() + retryMs
      this.#timer = setTimeout(() => this.#open(), Math.min(retryMs, timerMaxMs))
    }
    this.#pace.reset()
    for (const settle of [...this.#pending.keys()]) settle(reason)
    this.emit('lost', undefined)
    if (step === this.#step) this.#change(change)
    return step
  }

  #ping (timeoutMs: number): void {
    const link = this.#link
    if (link === undefined) return
    this.#expect(link, timeoutMs)
    link.ping(() => {
      if (this.#link !== link) return
      const [sentAt = Infinity] = this.#pending.values()
      if (sentAt < Date.now() - answerTimeoutMs) {
        link.close(new RealtimeError('TIMEOUT', `A request was not answered within ${answerTimeoutMs / 1000} s`))
      } else this.#pingLater()
    })
  }

  #pingLater (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#ping(pongTimeoutMs), pingIntervalMs)
  }

  /** Ends the link if nothing arrives in time. */
  #expect (link: Link, ms: number): void {
    const due = Date.now() + ms
    clearTimeout(this.#timer)
    this.#isHeard = false
    this.#timer = setTimeout(() => {
      if (this.#isHeard) this.#pingLater()
      // The page was frozen or busy: what arrived meanwhile is read first.
      else if (Date.now() > due + 1000) this.#expect(link, wakeTimeoutMs)
      else link.close(new RealtimeError('TIMEOUT', `${this.#options.url.host} did not answer within ${ms / 1000} s`))
    }, ms)
  }

  #change (change: ConnectionChange): void {
    this.#current = change
    const { state, error, code } = change
    this.#options.debug?.(state, { code, error: error?.code, message: error?.message })
    this.emit('change', change)
  }
}

const encoder = new TextEncoder()
/** The length of the value as a message; about 100 bytes are for what encloses it. */
const bytesOf = (value: unknown) => encoder.encode(JSON.stringify(value)).length + 100

const connectionLost = () => new RealtimeError('CONNECTION_LOST', 'The connection was lost before the answer')
const disconnected = () => new RealtimeError('DISCONNECTED', 'The client is disconnected')

/** Returns whether the server has refused the credential, and not only failed to check it. */
const isRefusal = (error: unknown) => error instanceof RealtimeError && error.retryAfterMs === undefined &&
  !['CONNECTION_LOST', 'DISCONNECTED', 'INTERNAL', 'TOKEN_UNAVAILABLE'].includes(error.code)

/** The reasons of the server are codes, such as `CREDENTIAL_EXPIRED`. */
const closeError = (code: number | undefined, reason = '') => new RealtimeError(
  /^[A-Z_]+$/.test(reason) ? reason : 'CONNECTION_LOST',
  code === undefined ? 'The connection was lost' : `The connection was closed with ${code} ${reason}`.trimEnd()
)

/** Calls back when the network is back, and when the page is shown or no longer frozen. */
function listenForWakeUps (wake: () => void): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  // Some are events of the document. The window captures those too.
  const names = ['online', 'pageshow', 'resume', 'visibilitychange']
  // Node's EventTarget ignores a boolean when it removes a listener.
  const options = { capture: true }
  for (const name of names) addEventListener(name, wake, options)
  return () => { for (const name of names) removeEventListener(name, wake, options) }
}
