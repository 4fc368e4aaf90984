import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'socket.io'
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws'

/** Limit for the fragments of one message. Each costs memory of its own, and an empty one costs time. */
export const messageFragmentsMax = 256

/** An option of `ws` that is missing in its types. */
export const fragmentLimit = { maxFragments: messageFragmentsMax }

/**
 * Sets the longest message that a WebSocket accepts from now on; a longer one closes it with 1009. `ws` has no public
 * API for this.
 */
export function limitMessages (webSocket: WebSocket, bytesMax: number): void {
  const { _receiver: receiver } = webSocket as unknown as { _receiver?: { _maxPayload: number } }
  if (receiver !== undefined) receiver._maxPayload = bytesMax
}

/** Measured cost of each piece of an unfinished frame, in addition to its bytes. */
const pieceBytes = 200

/** Returns the bytes of a partly received message. `ws` has no public API for this. */
export function arrivingBytes (webSocket: WebSocket): number {
  const { _receiver: receiver } = webSocket as unknown as {
    _receiver?: { _bufferedBytes: number, _messageLength: number, _buffers: unknown[] }
  }
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

type Link = Socket['conn']

/** The untyped parts of an Engine.IO transport that this file uses. */
interface Transport {
  name: string
  maxHttpBufferSize?: number
  socket?: WebSocket
  /** Long polling only: the POST in progress, and the bytes of it that have arrived. */
  dataReq?: IncomingMessage | null
  postedBytes?: number
  onDataRequest (request: IncomingMessage, response: ServerResponse): void
  onData (data: string): void
  onError (reason: string): void
}

const packetSeparator = '\u001e'

/** Applies `limitMessages` to the current transport of an Engine.IO link. */
export function limitLink ({ transport }: Link, bytesMax: number): void {
  const { name, socket } = transport as unknown as Transport
  if (name === 'polling') (transport as unknown as Transport).maxHttpBufferSize = bytesMax
  else if (socket !== undefined) limitMessages(socket, bytesMax)
}

/** Ends a long-polling link that posts more packets at once than `max` allows, before they are decoded. */
export function limitPackets ({ transport }: Link, max: () => number): void {
  const polling = transport as unknown as Transport
  if (polling.name !== 'polling') return
  const takeApart = polling.onData.bind(polling)
  polling.onData = data => {
    if (hasMorePackets(data, max())) polling.onError('too many packets')
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
  const polling = transport as unknown as Transport
  if (polling.name !== 'polling') return
  const accept = polling.onDataRequest.bind(polling)
  polling.onDataRequest = (request, response) => {
    accept(request, response)
    // Engine.IO refuses a second POST while one is in progress.
    if (polling.dataReq !== request) return
    polling.postedBytes = 0
    request.on('data', (text: string) => { polling.postedBytes = (polling.postedBytes ?? 0) + text.length })
  }
}

/** Returns `arrivingBytes` of an Engine.IO link. */
export function arrivingBytesOf ({ transport }: Link): number {
  const { dataReq, postedBytes, socket } = transport as unknown as Transport
  if (socket !== undefined) return arrivingBytes(socket)
  return dataReq === undefined || dataReq === null ? 0 : postedBytes ?? 0
}
