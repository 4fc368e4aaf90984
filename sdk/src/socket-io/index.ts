import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client'
import { pathOf, type LinkClose, type Transport } from '../connection/link.ts'
import { decodeToken } from '../connection/token.ts'
import { isErrorBody, RealtimeError, refusal } from '../errors.ts'
import type { Acknowledgement, Closing, Messages, RequestName } from '../protocol/protocol.ts'

type ServerEvents = { [Name in keyof Messages]: (body: Messages[Name]) => void } & {
  closing: (body: Closing) => void
}
type Acknowledge = (answer: Acknowledgement) => void
type ClientEvents = { [Name in RequestName | 'ping']: (fields: object, acknowledge: Acknowledge) => void }

export interface SocketIoOptions extends Pick<ManagerOptions, 'withCredentials' | 'extraHeaders' | 'agent'> {
  /** In the order in which they are tried. Default: long polling, then a WebSocket if the proxies let one pass. */
  transports?: ('polling' | 'websocket')[]
}

/**
 * Returns a transport over Socket.IO, for networks whose proxies block WebSockets. Requires `socket.io-client`.
 *
 * ```ts
 * new RealtimeClient({ url, token, transport: socketIo() })
 * ```
 */
export function socketIo (options: Partial<SocketIoOptions> = {}): Transport {
  return (url, credential, events) => {
    let closing: Closing | undefined
    let isClosed = false
    const settings: Partial<ManagerOptions & SocketOptions> = {
      transports: ['polling', 'websocket'],
      ...options,
      path: pathOf(url, '/socket.io'),
      auth: { ...credential },
      forceNew: true,
      // `Connection` opens another link.
      reconnection: false
    }
    const socket: Socket<ServerEvents, ClientEvents> = io(url.origin, settings)

    function close (info: LinkClose): void {
      if (isClosed) return
      isClosed = true
      socket.removeAllListeners()
      socket.disconnect()
      events.closed(info)
    }

    socket.on('connect', () => events.opened({
      socketId: socket.id ?? '',
      expiresAt: (decodeToken(credential.token)?.exp ?? 0) * 1000 || null
    }))
    socket.on('connect_error', (failure: Error & { data?: unknown }) => {
      const { data, message } = failure
      if (!isErrorBody(data)) {
        return close({
          mayReconnect: true,
          error: new RealtimeError('NETWORK', `${url.host} cannot be reached: ${message}`, { cause: failure })
        })
      }
      const error = refusal(data)
      const mayReconnect = error.retryAfterMs !== undefined
      close({ code: mayReconnect ? 4429 : 4401, mayReconnect, error })
    })
    socket.on('closing', message => { closing = message })
    socket.on('disconnect', reason => close({
      reason,
      mayReconnect: true,
      ...(closing !== undefined && { code: closing.code, reason: closing.reason, mayReconnect: closing.reconnect })
    }))
    socket.on('event', body => events.event(body))
    socket.on('message', body => events.message(body))
    socket.on('presence', body => events.presence(body))
    socket.on('resync', body => events.resync(body))

    return {
      request (name, fields, done) {
        // A copy as JSON, as over `/ws`: socket.io-client would send bytes in it as binary data, which is refused.
        socket.emit(name, JSON.parse(JSON.stringify(fields)), (answer: Acknowledgement) => {
          if (answer.ok) done(undefined, answer)
          else done(refusal(answer))
        })
      },
      // The server refuses an unknown request, which is as good a sign of life as an answer.
      ping: done => { socket.emit('ping', {}, () => done()) },
      close: error => close({ mayReconnect: true, ...(error !== undefined && { error }) })
    }
  }
}
