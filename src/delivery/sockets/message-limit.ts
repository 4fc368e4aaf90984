import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws'
import type { Link } from './socket-io-link.ts'

/** Limit for the fragments of one message. Each costs memory of its own, and an empty one costs time. */
export const messageFragmentsMax = 256

/** An option of `ws` that is missing in its types. */
export const fragmentLimit = { maxFragments: messageFragmentsMax }

/** A WebSocket with the members of `ws` that its types lack. There is no public API for them. */
type OpenWebSocket = WebSocket & {
  _receiver?: { _maxPayload: number, _bufferedBytes: number, _messageLength: number, _buffers: unknown[] }
}

/** Sets the longest message that a WebSocket accepts from now on; a longer one closes it with 1009. */
export function limitMessages ({ _receiver: receiver }: OpenWebSocket, bytesMax: number): void {
  if (receiver !== undefined) receiver._maxPayload = bytesMax
}

/** Measured cost of each piece of an unfinished frame, in addition to its bytes. */
const pieceBytes = 200

/** Returns the bytes of a partly received message. */
export function arrivingBytes ({ _receiver: receiver }: OpenWebSocket): number {
  return receiver === undefined
    ? 0
    : receiver._bufferedBytes + receiver._messageLength + pieceBytes * receiver._buffers.length
}

/** Creates the WebSocket server class for Engine.IO, with short messages until the client is authenticated. */
export const createLimitedServer = (bytesMax: number) => class extends WebSocketServer {
  constructor (options: ServerOptions) {
    super({ ...options, ...fragmentLimit, maxPayload: bytesMax })
  }
}

const packetSeparator = '\u001e'

/** Applies `limitMessages` to the current transport of an Engine.IO link. */
export function limitLink ({ transport }: Link, bytesMax: number): void {
  if (transport.name === 'polling') transport.maxHttpBufferSize = bytesMax
  else if (transport.socket !== undefined) limitMessages(transport.socket, bytesMax)
}

/** Ends a long-polling link that posts more packets at once than `max` allows, before they are decoded. */
export function limitPackets ({ transport }: Link, max: () => number): void {
  if (transport.name !== 'polling') return
  const takeApart = transport['onData'].bind(transport)
  transport['onData'] = (data: string) => {
    if (hasMorePackets(data, max())) transport['onError']('too many packets')
    else takeApart(data)
  }
}

function hasMorePackets (data: string, max: number): boolean {
  let at = -1
  for (let n = 0; n < max; n++) {
    at = data.indexOf(packetSeparator, at + 1)
    if (at === -1) return false
  }
  return true
}

/** Counts the arriving bytes of a long-polling link's POSTs, for `arrivingBytesOf`. */
export function countPosts ({ transport }: Link): void {
  const accept = transport.onDataRequest?.bind(transport)
  if (accept === undefined) return
  transport.onDataRequest = (request, response) => {
    accept(request, response)
    // Engine.IO refuses a second POST while one is in progress.
    if (transport.dataReq !== request) return
    transport.postedBytes = 0
    request.on('data', (text: string) => { transport.postedBytes = (transport.postedBytes ?? 0) + text.length })
  }
}

/** Returns `arrivingBytes` of an Engine.IO link. */
export function arrivingBytesOf ({ transport: { dataReq, postedBytes, socket } }: Link): number {
  if (socket !== undefined) return arrivingBytes(socket)
  return dataReq === undefined || dataReq === null ? 0 : postedBytes ?? 0
}
