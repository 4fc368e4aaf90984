import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Teardown } from '../../support/teardown.ts'

/* A server that violates the PostgreSQL protocol as a scenario requires. */

export const int16 = (value: number) => { const bytes = Buffer.alloc(2); bytes.writeInt16BE(value); return bytes }
export const int32 = (value: number) => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes }
export const text = (value: string) => Buffer.from(`${value}\0`)

/** Builds a whole message. `length` is the declared length, if that is to be wrong. */
export function message (type: string, body: readonly Buffer[] = [], length?: number): Buffer {
  const content = Buffer.concat(body)
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(length ?? content.length + 4), content])
}

export const authentication = (code: number, ...body: Buffer[]) => message('R', [int32(code), ...body])
export const authenticated = authentication(0)
export const ready = message('Z', [Buffer.from('I')])
export const welcome = Buffer.concat([
  authenticated, message('S', [text('server_version'), text('16.1')]), message('K', [int32(1), int32(2)]), ready
])
export const description = (...names: string[]) =>
  message('T', [
    int16(names.length),
    ...names.flatMap(name => [text(name), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)])
  ])
export const row = (...values: (string | null)[]) =>
  message('D', [
    int16(values.length),
    ...values.flatMap(value => value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), Buffer.from(value)])
  ])
export const failure = (code: string, said: string) =>
  message('E', [text('SERROR'), text('VERROR'), text(`C${code}`), text(`M${said}`), Buffer.from([0])])

/** One client. Its messages arrive one by one, `startup` first. */
export interface Peer {
  socket: Socket
  /** The parameters of the startup message. */
  startup: string
  send (...parts: Buffer[]): void
  /** Repeats the part until the client disconnects; one write at a time. */
  endlessly (part: Buffer): void
}

export interface Scenario {
  /** Called for the TCP connection before anything is read. Return true to handle it entirely. */
  onConnection? (socket: Socket): boolean
  onStartup? (peer: Peer): void
  /** Called after the startup for each message of the client. By default, nothing is answered. */
  onMessage? (peer: Peer, type: string, body: Buffer): void
}

export interface HostileServer {
  url: string
  host: string
  connections: number
  setScenario (scenario: Scenario): void
}

/** Starts a server that ends with the test. With `tls`, it answers SSLRequest with S. */
export async function startHostileServer (
  t: Teardown, given: Scenario, tls?: { key: string, cert: string }
): Promise<HostileServer> {
  let scenario = given
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    result.connections++
    socket.on('error', () => {}).on('close', () => open.delete(socket))
    socket.setNoDelay(true)
    if (scenario.onConnection?.(socket) === true) return
    speak(socket, () => scenario, tls)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as { port: number }).port}`
  const result: HostileServer = {
    host,
    url: `postgres://user:secret@${host}/shop${tls === undefined ? '' : '?sslmode=require'}`,
    connections: 0,
    setScenario: next => {
      scenario = next
    }
  }
  t.teardown(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return result
}

function speak (socket: Socket, scenario: () => Scenario, tls?: { key: string, cert: string }): void {
  let buffer = Buffer.alloc(0)
  let peer: Peer | undefined
  socket.on('data', (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk])
    for (;;) {
      const header = peer === undefined ? 0 : 1
      if (buffer.length < header + 4) return
      const end = header + buffer.readInt32BE(header)
      if (buffer.length < end) return
      const whole = buffer.subarray(0, end)
      buffer = buffer.subarray(end)
      if (peer !== undefined) {
        scenario().onMessage?.(peer, String.fromCharCode(whole[0] as number), whole.subarray(5))
      } else if (whole.readInt32BE(4) === 80877103) {
        socket.write(tls === undefined ? 'N' : 'S')
        if (tls === undefined) continue
        socket.removeAllListeners('data')
        const secure = new TLSSocket(socket, { isServer: true, ...tls })
        secure.on('error', () => {})
        return speak(secure, scenario)
      } else {
        peer = createPeer(socket, whole.toString('utf8', 8))
        scenario().onStartup?.(peer)
      }
    }
  })
}

function createPeer (socket: Socket, startup: string): Peer {
  return {
    socket,
    startup,
    send: (...parts) => { socket.write(Buffer.concat(parts)) },
    endlessly (part) {
      const block = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(32_768 / part.length)) }, () => part))
      const more = () => {
        if (!socket.destroyed) {
          socket.write(block, error => {
            if (error == null) setImmediate(more)
          })
        }
      }
      more()
    }
  }
}

/** Answers each query with these parts. */
export const answering = (...parts: Buffer[]): Scenario => ({
  onStartup: peer => peer.send(welcome),
  onMessage: (peer, type) => { if (type === 'Q' || type === 'S') peer.send(...parts) }
})

/** Greets with these parts. */
export const greeting = (...parts: Buffer[]): Scenario => ({ onStartup: peer => peer.send(...parts) })
