import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'socket.io'
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws'

/** Fragments of one message: each costs memory of its own, and an empty one costs time. */
export const messageFragmentsMax = 256

/** The options of `ws` that are newer than its types. */
export const fragmentLimit = { maxFragments: messageFragmentsMax }

/**
 * Changes how long the messages of a WebSocket may be from now on: a longer one ends it with 1009. `ws` has no public
 * way to do this.
 */
export function limitMessages (webSocket: WebSocket, bytesMax: number): void {
  const { _receiver: receiver } = webSocket as unknown as { _receiver?: { _maxPayload: number } }
  if (receiver !== undefined) receiver._maxPayload = bytesMax
}

/** Measured: what each piece of an unfinished frame costs beside its bytes. */
const pieceBytes = 200

/** Bytes of a message that has arrived in part. `ws` has no public way to read this. */
export function arrivingBytes (webSocket: WebSocket): number {
  const { _receiver: receiver } = webSocket as unknown as {
    _receiver?: { _bufferedBytes: number, _messageLength: number, _buffers: unknown[] }
  }
  return receiver === undefined
    ? 0
    : receiver._bufferedBytes + receiver._messageLength + pieceBytes * receiver._buffers.length
}

/** The server that Engine.IO makes its WebSockets with: their messages are short until the client is known. */
export const createLimitedServer = (bytesMax: number) => class extends WebSocketServer {
  constructor (options: ServerOptions) {
    super({ ...options, ...fragmentLimit, maxPayload: bytesMax })
  }
}

type Link = Socket['conn']

/** The untyped parts of an Engine.IO transport that are needed here. */
interface Transport {
  name: string
  maxHttpBufferSize?: number
  socket?: WebSocket
  /** Of long polling: the POST under way, and what has arrived of it. */
  dataReq?: IncomingMessage | null
  postedBytes?: number
  onDataRequest (request: IncomingMessage, response: ServerResponse): void
  onData (data: string): void
  onError (reason: string): void
}

const packetSeparator = '\u001e'

/** As `limitMessages`, of an Engine.IO link: of the transport that it has now. */
export function limitLink ({ transport }: Link, bytesMax: number): void {
  const { name, socket } = transport as unknown as Transport
  if (name === 'polling') (transport as unknown as Transport).maxHttpBufferSize = bytesMax
  else if (socket !== undefined) limitMessages(socket, bytesMax)
}

/** Ends a long-polling link that posts more packets at once than `max` allows, before they are taken apart. */
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

/** Counts what arrives of the POSTs of a long-polling link, for `arrivingBytesOf`. */
export function countPosts ({ transport }: Link): void {
  const polling = transport as unknown as Transport
  if (polling.name !== 'polling') return
  const accept = polling.onDataRequest.bind(polling)
  polling.onDataRequest = (request, response) => {
    accept(request, response)
    // Another one is under way.
    if (polling.dataReq !== request) return
    polling.postedBytes = 0
    request.on('data', (text: string) => { polling.postedBytes = (polling.postedBytes ?? 0) + text.length })
  }
}

/** As `arrivingBytes`, of an Engine.IO link. */
export function arrivingBytesOf ({ transport }: Link): number {
  const { dataReq, postedBytes, socket } = transport as unknown as Transport
  if (socket !== undefined) return arrivingBytes(socket)
  return dataReq === undefined || dataReq === null ? 0 : postedBytes ?? 0
}
