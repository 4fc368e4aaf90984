import { findWebSocket, type WebSocketConstructor, type WebSocketLike } from '#web-socket'
import { refusal, RealtimeError } from '../errors.ts'
import type { ServerFrame } from '../protocol/protocol.ts'
import { isFinalCode, pathOf, type Link, type LinkClose, type Transport } from './link.ts'

/** How long a peer may take to answer a close. */
const closeTimeoutMs = 2000

/** Returns the transport over the plain WebSocket at `/ws`. */
export function webSocketTransport (given?: WebSocketConstructor): Transport {
  return (url, credential, events) => {
    const pending = new Map<unknown, Parameters<Link['request']>[2]>()
    const pongs: (() => void)[] = []
    let socket: WebSocketLike | undefined
    let nextId = 1
    let isClosed = false
    let error: RealtimeError | undefined

    // Browsers log an error for a frame that is sent while the socket closes. Its request ends with the link.
    const send = (frame: object) => { if (socket?.readyState === 1) socket.send(JSON.stringify(frame)) }

    function close (info: LinkClose): void {
      if (isClosed) return
      isClosed = true
      if (socket !== undefined) {
        const { terminate } = socket
        const timer = terminate && setTimeout(() => terminate.call(socket), closeTimeoutMs)
        socket.onopen = socket.onmessage = null
        socket.onclose = () => clearTimeout(timer)
        socket.close(1000)
      }
      events.closed(info)
    }

    function receive (data: unknown): void {
      const frame = parse(data)
      if (frame === undefined) {
        return close({
          mayReconnect: true,
          error: new RealtimeError('ANSWER_INVALID', `${url.host} sent a frame that is not of the platform's protocol`)
        })
      }
      switch (frame.type) {
        case 'event': return events.event(frame.data)
        case 'message': return events.message(frame)
        case 'presence': return events.presence(frame)
        case 'resync': return events.resync(frame)
        case 'pong': return pongs.shift()?.()
      }
      if (frame.id !== undefined) {
        const done = pending.get(frame.id)
        pending.delete(frame.id)
        if (frame.type === 'error') done?.(refusal(frame))
        else done?.(undefined, frame)
      } else if (frame.type === 'error') error = refusal(frame)
      else if ('socketId' in frame) events.opened(frame)
    }

    function open (WebSocket: WebSocketConstructor): void {
      if (isClosed) return
      const target = new URL(pathOf(url, '/ws'), url)
      target.protocol = url.protocol.replace('http', 'ws')
      socket = new WebSocket(target.href, 'realtime.v1')
      socket.onopen = () => send({ type: 'auth', ...credential })
      socket.onmessage = ({ data }: { data: unknown }) => receive(data)
      // Browsers give no reason. With `ws` it is, for example, "connect ECONNREFUSED 127.0.0.1:3000".
      socket.onerror = ({ message }: { message?: string }) => {
        if (message) error ??= new RealtimeError('NETWORK', `${target.host} cannot be reached: ${message}`)
      }
      socket.onclose = ({ code, reason }: { code: number, reason: string }) => close({
        code,
        reason,
        // The credential arrived too late, which says nothing against it.
        mayReconnect: !isFinalCode(code) || error?.code === 'AUTH_TIMEOUT',
        ...(error !== undefined && { error })
      })
    }

    const fail = (cause: unknown) => close({
      mayReconnect: false,
      error: cause instanceof RealtimeError ? cause : new RealtimeError('WEBSOCKET_MISSING', String(cause), { cause })
    })

    Promise.resolve(given ?? findWebSocket()).then(open).catch(fail)

    return {
      request (name, fields, done) {
        pending.set(nextId, done)
        send({ ...fields, type: name, id: nextId++ })
      },
      ping (done) {
        pongs.push(done)
        send({ type: 'ping' })
      },
      close: error => close({ mayReconnect: true, ...(error !== undefined && { error }) })
    }
  }
}

function parse (data: unknown): ServerFrame | undefined {
  try {
    const frame: unknown = JSON.parse(String(data))
    return isFrame(frame) ? frame : undefined
  } catch {}
}

const isFrame = (value: unknown): value is ServerFrame =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
