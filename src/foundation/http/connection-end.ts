import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Callbacks for the end of a connection. One listener serves all requests of a connection, since a client may pipeline
 * thousands.
 */
const onEnd = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `done` once, when the response or its connection ends. The response's own events are not enough: a pipelined
 * response that is never sent emits neither `finish` nor `close`.
 */
export function onceAnsweredOrGone (socket: Socket, response: ServerResponse, done: () => void): void {
  if (socket.closed || response.closed) return done()
  const ends = endsOf(socket)
  const finish = () => {
    response.off('close', finish)
    if (ends.delete(finish)) done()
  }
  ends.add(finish)
  response.once('close', finish)
}

function endsOf (socket: Socket): Set<() => void> {
  const known = onEnd.get(socket)
  if (known !== undefined) return known
  const ends = new Set<() => void>()
  onEnd.set(socket, ends)
  socket.once('close', () => { for (const end of ends) end() })
  return ends
}
