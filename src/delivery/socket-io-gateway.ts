import type { Server, Socket } from 'socket.io'
import { toPublicError } from '../errors.ts'
import { isPlainObject } from '../json.ts'
import type { Connection } from './connection.ts'
import type { Greeting, Handshake } from './handshake.ts'
import type { Protocol } from './protocol.ts'
import { SocketIoTransport } from './socket-io-transport.ts'

type Identity = Awaited<ReturnType<Handshake['identify']>>
type Acknowledge = (answer: object) => void

/** The edge for Socket.IO clients: requests are events with an acknowledgement, refusals are `{ok: false, …}`. */
export function acceptSocketIo (io: Server, { handshake, protocol }: { handshake: Handshake, protocol: Protocol }): void {
  io.use((socket, next) => {
    handshake.identify(socket.handshake.auth as Greeting, socket.handshake.headers).then(identity => {
      (socket.data as { identity: Identity }).identity = identity
      next()
    }, (error: unknown) => {
      const body = toPublicError(error).toBody()
      next(Object.assign(new Error(body.message), { data: body }))
    })
  })
  io.on('connection', socket => {
    const connection = handshake.open(new SocketIoTransport(socket), (socket.data as { identity: Identity }).identity)
    socket.on('disconnect', () => connection.closed())
    socket.onAny((name: string, ...args: unknown[]) => { void answer(socket, connection, protocol, name, args) })
  })
}

async function answer (socket: Socket, connection: Connection, protocol: Protocol, name: string, args: unknown[]): Promise<void> {
  const last = args.at(-1)
  const acknowledge = typeof last === 'function' ? last as Acknowledge : undefined
  const [fields] = acknowledge === undefined ? args : args.slice(0, -1)
  try {
    await protocol.handle(connection, name, isPlainObject(fields) ? fields : fields ?? {}, body => acknowledge?.({ ok: true, ...body }))
  } catch (error) {
    const refusal = { ok: false, ...toPublicError(error).toBody() }
    if (acknowledge === undefined) socket.emit('error', refusal)
    else acknowledge(refusal)
  }
}
