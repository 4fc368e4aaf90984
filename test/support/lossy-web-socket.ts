import { WebSocket } from 'ws'

/*
 * WebSockets of one client that lose their connection when a test says so. Pass `WebSocket` to the client.
 */

export interface LossyNetwork {
  WebSocket: new (url: string, protocols?: string | string[]) => WebSocket
  /** Breaks the open connections. Both sides notice. */
  cut (): void
  /** As after a change of networks: the client notices the end of its connection, the server does not. */
  desert (): void
  /** Closes the connections that were deserted. */
  close (): void
}

export function lossyNetwork (): LossyNetwork {
  const open = new Set<LossyWebSocket>()
  const deserted = new Set<LossyWebSocket>()

  class LossyWebSocket extends WebSocket {
    constructor (url: string, protocols?: string | string[]) {
      super(url, protocols)
      open.add(this)
      this.once('close', () => { open.delete(this); deserted.delete(this) })
    }

    override close (code?: number, reason?: string): void {
      if (!deserted.has(this)) super.close(code, reason)
    }

    desert (): void {
      const { onclose } = this
      deserted.add(this)
      open.delete(this)
      this.onclose = this.onmessage = null
      onclose?.({ type: 'close', target: this, code: 1006, reason: '', wasClean: false })
    }
  }

  return {
    WebSocket: LossyWebSocket,
    cut () { for (const socket of open) socket.terminate() },
    desert () { for (const socket of open) if (socket.readyState === WebSocket.OPEN) socket.desert() },
    close () { for (const socket of [...open, ...deserted]) socket.terminate() }
  }
}
