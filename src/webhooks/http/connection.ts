import { Client, type buildConnector, type Dispatcher } from 'undici'
import { filterHeads, type AnswerHeads } from './answer-heads.ts'

export interface ConnectionOptions extends Client.Options {
  connect: buildConnector.connector
  /** Called when a request is sent again because the kept-alive connection had ended. */
  onResent (): void
}

/**
 * One keep-alive connection to an endpoint, opened by the first request and opened again after it has ended. It carries
 * one request at a time. The end of a kept-alive connection often shows only when the next request meets a reset (RFC
 * 9112 §9.3.1). Such a request is sent again, once, on a new connection. A request on a new connection, or one whose
 * response has begun, is not sent again.
 */
export class Connection {
  readonly #client: Client
  readonly #onResent: () => void
  #heads: AnswerHeads | undefined

  constructor (origin: string, { onResent, connect, ...options }: ConnectionOptions) {
    this.#onResent = onResent
    this.#client = new Client(origin, {
      ...options,
      pipelining: 1,
      connect: (to, callback) => connect(to, (...[error, socket]) => {
        if (error !== null || socket === null) return callback(error ?? new Error('no socket'), null)
        this.#heads = filterHeads(socket)
        callback(null, socket)
      })
    })
  }

  dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#client.dispatch(options, this.#watch(handler, () => {
      if (this.#client.closed || this.#client.destroyed) return false
      this.#onResent()
      this.#client.dispatch(options, this.#watch(handler, () => false))
      return true
    }))
  }

  /** Lets a request in flight finish. */
  close (): Promise<void> {
    return this.#client.close()
  }

  destroy (): Promise<void> {
    return this.#client.destroy()
  }

  /** Passes everything on except an error that `resend` recovers from. */
  #watch (handler: Dispatcher.DispatchHandler, resend: () => boolean): Dispatcher.DispatchHandler {
    let heads: AnswerHeads | undefined
    return {
      onRequestStart: (controller, context) => {
        heads = this.#heads
        heads?.begin()
        handler.onRequestStart?.(controller, context)
      },
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
      onResponseError: (controller, error) => {
        const isStale = heads?.isReused === true && !heads.hasBegun && isReset(error)
        if (!isStale || !resend()) handler.onResponseError?.(controller, error)
      }
    }
  }
}

/** Matches a reset, a write to a closed connection, and undici's error for a close by the other side. */
const isReset = ({ code = '' }: NodeJS.ErrnoException) =>
  ['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET'].includes(code)
