import { isUtf8 } from 'node:buffer'
import { WebSocket, type RawData } from 'ws'
import type WebSocketModule from 'ws' with { 'resolution-mode': 'require' }

/** Receives the events of a WebSocket. */
export interface WebSocketClient {
  message (data: RawData, isBinary: boolean): void
  /** A ping or pong has arrived. */
  controlled (data: Buffer): void
  /** An error has occurred; `closed` follows. */
  failed (): void
  closed (): void
  /** Pings the peer. Ends the link if nothing has arrived since the last call. */
  ping (): void
}

/**
 * A WebSocket that passes its events to its client directly. Listeners would add a tenth to a silent socket's memory.
 */
export class ClientWebSocket extends WebSocket {
  // Inherited from `ws`. Its types for ES modules omit these, but those of @fastify/websocket require them.
  declare static readonly createWebSocketStream: typeof WebSocketModule.createWebSocketStream
  declare static readonly Server: typeof WebSocketModule.Server
  declare static readonly WebSocketServer: typeof WebSocketModule.WebSocketServer
  declare static readonly WebSocket: typeof WebSocketModule.WebSocket

  client: WebSocketClient | undefined = undefined

  /**
   * `ws` passes a Buffer when it answers the peer's close frame. `skipUTF8Validation` leaves the check of text frames
   * to the gateway, but also skips that of the close reason, for which RFC 6455 §8.1 requires 1007.
   */
  override close (code?: number, reason?: string | Buffer): void {
    if (Buffer.isBuffer(reason) && !isUtf8(reason)) super.close(1007)
    else super.close(code, reason)
  }

  override emit (event: string | symbol, ...args: unknown[]): boolean {
    const { client } = this
    switch (client === undefined ? undefined : event) {
      case 'message': client?.message(args[0] as RawData, args[1] as boolean); return true
      case 'ping':
      case 'pong': client?.controlled(args[0] as Buffer); return true
      // `ws` closes by itself: with 1009 for a frame that is too large, with 1002 for invalid framing.
      case 'error': client?.failed(); return true
      case 'close': client?.closed()
    }
    return super.emit(event, ...args)
  }
}
