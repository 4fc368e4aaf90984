import { io, type Socket } from 'socket.io-client'
import { encodeRequest, HttpConnection } from '../../load/http-connection.ts'
import { reconnectMs, type ResumingDriver } from './resuming.ts'

/** Socket.IO's client, with the server's connection state recovery. */
export async function resumeSocketIo (url: string): Promise<ResumingDriver> {
  const connection = await HttpConnection.open(url)
  let socket: Socket | undefined
  return {
    async consume (proxyUrl, ledger) {
      const opened = io(proxyUrl, {
        transports: ['websocket'], reconnectionDelay: reconnectMs, reconnectionDelayMax: reconnectMs * 5
      })
      socket = opened
      let hasBegun = false
      opened.on('event', ({ n }: { n: number }) => ledger.receive(n))
      await new Promise<void>(resolve => opened.on('connect', () => {
        if (hasBegun && !opened.recovered) ledger.announce()
        hasBegun = true
        resolve()
      }))
    },
    async publish (numbers) {
      const { status } = await connection.request(
        encodeRequest(url, 'POST', '/events', { body: JSON.stringify(numbers) })
      )
      if (status !== 200) throw new Error(`publish answered ${status}`)
    },
    async close () {
      socket?.disconnect()
      connection.close()
    }
  }
}
