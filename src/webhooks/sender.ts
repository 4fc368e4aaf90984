import { buildConnector, Pool, type Dispatcher } from 'undici'
import type { WebhookSettings } from '../config.ts'
import { explainForeignError } from '../foreign-errors.ts'
import { ForbiddenAddressError, type AddressGuard } from './address-guard.ts'
import { parseRetryAfter } from './retry-schedule.ts'

/** What one request came to. */
export interface Attempt {
  success: boolean
  statusCode: number | null
  /** What went wrong, for the owner of the endpoint. */
  error: string | null
  /** The beginning of the answer's body. */
  responseBody: string | null
  /** What `Retry-After` asks for. */
  retryAfterMs: number | undefined
  durationMs: number
}

export interface SenderOptions {
  url: string
  guard: AddressGuard
  settings: WebhookSettings
}

/** How long an idle connection is kept. */
const keepAliveMs = 30_000
const userAgent = 'Realtime-Platform-Webhooks/1.0 (+https://www.standardwebhooks.com)'

/**
 * The keep-alive connections to one endpoint. Every connection is made to an address that was checked, by the name that the URL has
 * (Host and SNI), and the address that it has in fact reached is checked again.
 */
export class Sender {
  readonly url: string
  readonly #pool: Pool
  readonly #path: string
  readonly #settings: WebhookSettings
  readonly #underWay = new Set<AttemptHandler>()

  constructor ({ url, guard, settings }: SenderOptions) {
    const { origin, pathname, search } = new URL(url)
    this.url = url
    this.#path = pathname + search
    this.#settings = settings
    this.#pool = new Pool(origin, {
      connections: settings.endpointConcurrencyMax,
      pipelining: 1,
      connect: guardedConnector(guard, settings),
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      maxHeaderSize: 16 * 1024,
      // The attempt as a whole has its time; these are for what undici does beside it.
      headersTimeout: settings.timeoutMs + 1000,
      bodyTimeout: settings.timeoutMs + 1000
    })
  }

  /** Never rejects: whatever happens is what the attempt came to. */
  send (body: string, headers: Record<string, string>): Promise<Attempt> {
    return new Promise(resolve => {
      const attempt: AttemptHandler = new AttemptHandler(this.#settings, ended => {
        this.#underWay.delete(attempt)
        resolve(ended)
      })
      this.#underWay.add(attempt)
      try {
        this.#pool.dispatch({
          method: 'POST', path: this.#path, body, headers: { 'content-type': 'application/json', 'user-agent': userAgent, ...headers }
        }, attempt)
      } catch (error) {
        attempt.onResponseError(undefined, error as Error)
      }
    })
  }

  /** Ends what is under way, now. */
  breakOff (): void {
    for (const attempt of this.#underWay) attempt.giveUp('Interrupted: the server is stopping')
  }

  /** Lets what is under way end. */
  retire (): void {
    this.#pool.close().catch(() => {})
  }

  async close (): Promise<void> {
    await this.#pool.destroy()
  }
}

function guardedConnector (guard: AddressGuard, settings: WebhookSettings): buildConnector.connector {
  const connect = buildConnector({
    timeout: Math.min(settings.connectTimeoutMs, settings.timeoutMs),
    autoSelectFamily: true,
    ...(settings.certificateAuthority !== undefined && { ca: settings.certificateAuthority }),
    lookup: (hostname, options, callback) => {
      guard.resolve(hostname).then(addresses => {
        const found = addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
        // Node asks for all of them when it is to choose the family.
        if (options.all === true) callback(null, found)
        else callback(null, found[0]?.address ?? '', found[0]?.family)
      }, (error: Error) => callback(error, ''))
    }
  })
  return (options, callback) => {
    try {
      // A webhook may be from a time in which more was allowed.
      if (options.protocol !== 'https:' && !settings.allowPrivate) throw new ForbiddenAddressError(options.hostname, `${options.protocol}// is not https://`)
      // An address is not looked up.
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

/** One request from its start to its end, within its time. */
class AttemptHandler implements Dispatcher.DispatchHandler {
  readonly #settings: WebhookSettings
  readonly #resolve: (attempt: Attempt) => void
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #isOver = false
  #statusCode: number | null = null
  #retryAfter: string | undefined
  #chunks: Buffer[] = []
  #bytes = 0

  constructor (settings: WebhookSettings, resolve: (attempt: Attempt) => void) {
    this.#settings = settings
    this.#resolve = resolve
    this.#timer = setTimeout(() => this.giveUp(`No answer within ${settings.timeoutMs} ms`), settings.timeoutMs)
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new Error('the attempt is over'))
  }

  onResponseStart (_controller: Dispatcher.DispatchController, statusCode: number, headers: Record<string, string | string[] | undefined>): void {
    // Informational answers come before the one that counts.
    if (statusCode < 200) return
    this.#statusCode = statusCode
    this.#retryAfter = [headers['retry-after']].flat()[0]
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes - chunk.length < this.#settings.responseBytesLogged) this.#chunks.push(chunk)
    if (this.#bytes <= this.#settings.responseBytesMax) return
    // Whatever else it has to say, it has answered.
    this.#end(null)
    controller.abort(new Error('the answer is too long'))
  }

  onResponseEnd (): void {
    this.#end(null)
  }

  onResponseError (_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#end(describe(error))
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
      responseBody: this.#chunks.length === 0 ? null : textOf(Buffer.concat(this.#chunks), this.#settings.responseBytesLogged),
      retryAfterMs: parseRetryAfter(this.#retryAfter, Date.now(), this.#settings.retryAfterMaxMs),
      durationMs: Math.round(performance.now() - this.#startedAt)
    })
  }
}

const errorOf = (status: number | null) =>
  status !== null && status >= 300 && status < 400 ? `Answered ${status}: redirects are not followed` : `Answered ${status ?? 'nothing'}`

/** PostgreSQL takes no NUL in a text. */
const textOf = (bytes: Buffer, max: number) => bytes.subarray(0, max).toString().replaceAll('\0', '\ufffd')

/** What went wrong on the way, in our words, and without the addresses that names have within. */
const describe = (error: Error): string => error instanceof ForbiddenAddressError ? `Not sent: ${error.message}` : `Failed: ${explainForeignError(error)}`
