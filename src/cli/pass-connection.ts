import type { Worker } from 'node:cluster'
import { Socket } from 'node:net'

/* TCP connections that move from one worker to another over Node's channel with the parent. */

interface Passed { passTo: string, read: string }

const isPassed = (message: unknown): message is Passed =>
  typeof message === 'object' && message !== null && 'passTo' in message

/** In a worker: sends a connection to the parent, for another worker. */
export function passOn (worker: string, read: Buffer, socket: Socket): void {
  socket.pause()
  const buffered = socket.read() as Buffer | null
  const all = buffered === null ? read : Buffer.concat([read, buffered])
  const message: Passed = { passTo: worker, read: all.toString('base64') }
  // The other process has the connection by then. Here, the socket only has to forget it.
  process.send?.(message, socket, undefined, () => socket.destroy())
}

/** In a worker: receives the connections of others. */
export function onPassed (listener: (read: Buffer, socket: Socket) => void): void {
  process.on('message', (message: unknown, socket: unknown) => {
    // Undefined if the client has gone meanwhile.
    if (isPassed(message) && socket instanceof Socket) listener(Buffer.from(message.read, 'base64'), socket)
  })
}

/** In the parent: passes the connections of a worker on to the one that they are for, if it runs. */
export function passConnections (from: Worker, workerOf: (name: string) => Worker | undefined): void {
  from.on('message', (message: unknown, socket: unknown) => {
    if (!isPassed(message) || !(socket instanceof Socket)) return
    const target = workerOf(message.passTo)
    const forget = () => socket.destroy()
    if (target === undefined || !target.isConnected()) forget()
    else target.send(message, socket, undefined, forget)
  })
}
