import { RealtimeError } from '../errors.ts'
import type { WebSocketConstructor } from './web-socket-browser.ts'

/** Returns Node's own WebSocket (Node 22 and later), or that of `ws`. */
export async function findWebSocket (): Promise<WebSocketConstructor> {
  if ('WebSocket' in globalThis) return globalThis.WebSocket
  try {
    return (await import('ws')).WebSocket
  } catch (cause) {
    throw new RealtimeError(
      'WEBSOCKET_MISSING',
      'Node 20 has no WebSocket. Run "npm install ws", or pass a WebSocket class as the option `WebSocket`', { cause }
    )
  }
}
