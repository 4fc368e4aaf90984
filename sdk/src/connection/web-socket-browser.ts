/** The part of a WebSocket that the library uses: of the browser's, or of that of `ws`. */
export interface WebSocketLike {
  /** 1 while open (https://websockets.spec.whatwg.org/#dom-websocket-readystate). */
  readonly readyState: number
  send (data: string): void
  close (code?: number): void
  /** Ends the connection without waiting for the peer. `ws` has it. */
  terminate?(): void
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
}
export type WebSocketConstructor = new (url: string, protocols?: string) => WebSocketLike

/** Returns the WebSocket of the environment. The Node build of this file loads `ws`. */
export function findWebSocket (): WebSocketConstructor | Promise<WebSocketConstructor> {
  return WebSocket
}
