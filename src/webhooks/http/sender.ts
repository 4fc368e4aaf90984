import { buildConnector, type Dispatcher } from 'undici'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import { explainForeignError } from '../../foundation/foreign-errors.ts'
import { ForbiddenAddressError, type AddressGuard } from './address-guard.ts'
import { headBytesMax } from './answer-heads.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { parseRetryAfter } from './retry-after.ts'

/** The result of one request. */
export interface Attempt {
  success: boolean
  statusCode: number | null
  /** Describes the failure for the owner of the endpoint. */
  error: string | null
  /** The beginning of the response body. */
  responseBody: string | null
  /** The headers of the response, without cookies. */
  responseHeaders?: Record<string, string>
  /** The time in the signature of the request. */
  sentAt?: number
  /** The wait that `Retry-After` requires. */
  retryAfterMs: number | undefined
  durationMs: number
}

/** The settings that a sender uses. */
export type SenderSettings = Pick<WebhookSettings,
  'certificateAuthority' | 'connectTimeoutMs' | 'timeoutMs' | 'endpointConcurrencyMax' | 'responseBytesLogged' |
  'responseBytesMax' | 'retryAfterMaxMs'>

export interface SenderOptions {
  url: string
  guard: AddressGuard
  settings: SenderSettings
  /** Called when a request is sent again because a kept-alive connection had ended. */
  onResent (): void
}

/** How long an idle connection is kept. */
const keepAliveMs = 30_000
/** The headers that every request has. */
export const fixedHeaders = {
  'content-type': 'application/json',
  'user-agent': 'Realtime-Platform-Webhooks/1.0 (+https://www.standardwebhooks.com)'
}

/**
 * Sends requests to one endpoint over keep-alive connections. It connects only to checked addresses and checks the
 * remote address again once connected. Host and SNI contain the host name of the URL.
 */
export class Sender {
  readonly url: string
  readonly #origin: string
  readonly #path: string
  readonly #settings: SenderSettings
  readonly #options: ConnectionOptions
  readonly #connections = new Set<Connection>()
  /** Connections without a request. The most recently used one is reused first, so that surplus ones time out. */
  readonly #idle: Connection[] = []
  /** Requests that wait for a connection. */
  readonly #waiting: ((connection: Connection) => void)[] = []
  readonly #underWay = new Set<AttemptHandler>()
  #isRetired = false

  constructor ({ url, guard, settings, onResent }: SenderOptions) {
    const { origin, pathname, search } = new URL(url)
    this.url = url
    this.#origin = origin
    this.#path = pathname + search
    this.#settings = settings
    this.#options = {
      connect: guardedConnector(guard, settings),
      onResent,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      maxHeaderSize: headBytesMax,
      // Longer than the attempt's own timeout: these only stop what undici might continue after it.
      headersTimeout: settings.timeoutMs + 1000,
      bodyTimeout: settings.timeoutMs + 1000
    }
  }

  /** Never rejects: every failure is part of the attempt's result. */
  send (body: string, headers: Record<string, string>): Promise<Attempt> {
    return new Promise(resolve => {
      const attempt: AttemptHandler = new AttemptHandler(this.#settings, ended => {
        this.#underWay.delete(attempt)
        resolve(ended)
      })
      this.#underWay.add(attempt)
      this.#withConnection(connection => {
        attempt.onReleased = () => this.#release(connection)
        try {
          connection.dispatch({
            method: 'POST',
            path: this.#path,
            body,
            headers: { ...fixedHeaders, ...headers }
          }, attempt)
        } catch (error) {
          attempt.onResponseError(undefined, error as Error)
        }
      })
    })
  }

  /** Aborts the requests in flight. */
  breakOff (): void {
    for (const attempt of this.#underWay) attempt.giveUp('Interrupted: the server is shutting down')
  }

  /** Lets the requests in flight finish, then closes their connections. */
  retire (): void {
    this.#isRetired = true
    for (const connection of this.#idle.splice(0)) connection.close().catch(() => {})
  }

  async close (): Promise<void> {
    await Promise.all([...this.#connections].map(connection => connection.destroy()))
  }

  #withConnection (use: (connection: Connection) => void): void {
    let connection = this.#idle.pop()
    if (connection === undefined && this.#connections.size < this.#settings.endpointConcurrencyMax) {
      connection = new Connection(this.#origin, this.#options)
      this.#connections.add(connection)
    }
    if (connection === undefined) this.#waiting.push(use)
    else use(connection)
  }

  #release (connection: Connection): void {
    const next = this.#waiting.shift()
    if (next !== undefined) return next(connection)
    if (this.#isRetired) connection.close().catch(() => {})
    else this.#idle.push(connection)
  }
}

function guardedConnector (guard: AddressGuard, settings: SenderSettings): buildConnector.connector {
  const connect = buildConnector({
    timeout: Math.min(settings.connectTimeoutMs, settings.timeoutMs),
    autoSelectFamily: true,
    ...(settings.certificateAuthority !== undefined && { ca: settings.certificateAuthority }),
    lookup: (hostname, options, callback) => {
      guard.resolve(hostname).then(addresses => {
        const found = addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
        // Node requests all addresses when it chooses the family itself.
        if (options.all === true) callback(null, found)
        else callback(null, found[0]?.address ?? '', found[0]?.family)
      }, (error: Error) => callback(error, ''))
    }
  })
  return (options, callback) => {
    try {
      // The webhook may have been created under settings that allowed more.
      guard.checkScheme(options.protocol, options.hostname)
      // Node does not look up literal addresses.
      guard.checkHost(options.hostname)
    } catch (error) {
      return callback(error as Error, null)
    }
    connect(options, (...[error, socket]) => {
      if (error !== null || socket === null) return callback(error ?? new Error('no socket'), null)
      try {
        guard.checkAnswer(options.hostname, socket.remoteAddress ?? '')
      } catch (refusal) {
        socket.destroy()
        return callback(refusal as Error, null)
      }
      callback(null, socket)
    })
  }
}

/** One request from start to end, with a timeout. */
class AttemptHandler implements Dispatcher.DispatchHandler {
  readonly #settings: SenderSettings
  readonly #resolve: (attempt: Attempt) => void
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout
  /** Called once the connection is free, which after a timeout is later than the end of the attempt. */
  onReleased: () => void = () => {}
  #controller: Dispatcher.DispatchController | undefined
  #isOver = false
  #statusCode: number | null = null
  #retryAfter: string | undefined
  #headers: Record<string, string> | undefined
  #chunks: Buffer[] = []
  #bytes = 0

  constructor (settings: SenderSettings, resolve: (attempt: Attempt) => void) {
    this.#settings = settings
    this.#resolve = resolve
    this.#timer = setTimeout(
      () => this.giveUp(`No response within ${settings.timeoutMs} ms`), settings.timeoutMs
    )
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new Error('the attempt has already ended'))
  }

  onResponseStart (
    _controller: Dispatcher.DispatchController, statusCode: number,
    headers: Record<string, string | string[] | undefined>
  ): void {
    this.#statusCode = statusCode
    this.#retryAfter = [headers['retry-after']].flat()[0]
    this.#headers = loggedHeaders(headers)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes - chunk.length < this.#settings.responseBytesLogged) this.#chunks.push(chunk)
    if (this.#bytes <= this.#settings.responseBytesMax) return
    // The status decides; the rest of the response is not needed.
    this.#end(null)
    controller.abort(new Error('the response is too long'))
  }

  onResponseEnd (): void {
    this.#end(null)
    this.onReleased()
  }

  onResponseError (_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#end(describe(error))
    this.onReleased()
  }

  giveUp (reason: string): void {
    this.#end(reason)
    this.#controller?.abort(new Error(reason))
  }

  #end (failure: string | null): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    const status = this.#statusCode
    const success = failure === null && status !== null && status >= 200 && status < 300
    this.#resolve({
      success,
      statusCode: status,
      error: success ? null : failure ?? errorOf(status),
      responseBody: this.#chunks.length === 0
        ? null
        : textOf(Buffer.concat(this.#chunks), this.#settings.responseBytesLogged),
      ...(this.#headers !== undefined && { responseHeaders: this.#headers }),
      retryAfterMs: parseRetryAfter(this.#retryAfter, Date.now(), this.#settings.retryAfterMaxMs),
      durationMs: Math.round(performance.now() - this.#startedAt)
    })
  }
}

/** Characters of the headers that are logged. */
const headersMax = 4096

/** Returns the first headers of a response. Cookies may be credentials, so they are left out. */
function loggedHeaders (headers: Record<string, string | string[] | undefined>): Record<string, string> {
  let length = 0
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      if (value === undefined || name === 'set-cookie') return []
      const text = [value].flat().join(', ')
      length += name.length + text.length
      return length > headersMax ? [] : [[name, text]]
    })
  )
}

const errorOf = (status: number | null) =>
  status !== null && status >= 300 && status < 400
    ? `Responded with ${status}: redirects are not followed`
    : `Responded with ${status ?? 'no status'}`

/** PostgreSQL does not accept NUL in text. */
const textOf = (bytes: Buffer, max: number) => bytes.subarray(0, max).toString().replaceAll('\0', '\ufffd')

/** Describes the failure in our own words, without the addresses behind internal names. */
const describe = (error: Error): string =>
  error instanceof ForbiddenAddressError ? `Not sent: ${error.message}` : `Failed: ${explainForeignError(error)}`
