import { RealtimeClient } from '@realtime-platform/client'
import { encodeRequest, HttpConnection } from '../../load/http-connection.ts'
import { reconnectMs, type ResumingDriver } from './resuming.ts'

/** The client library over `/ws`, which resumes after its last offset. */
export async function resumePlatform (url: string, token: string, topic: string): Promise<ResumingDriver> {
  const connection = await HttpConnection.open(url)
  let client: RealtimeClient | undefined
  return {
    async consume (proxyUrl, ledger) {
      client = new RealtimeClient({
        url: proxyUrl, token, reconnectionDelay: reconnectMs, reconnectionDelayMax: reconnectMs * 5
      })
      await client.topic(topic).subscribe(
        ({ payload }) => ledger.receive((payload as { n: number }).n), { onGap: () => ledger.announce() }
      ).ready
    },
    async publish (numbers) {
      const body = JSON.stringify({ events: numbers.map(n => ({ payload: { n } })) })
      const { status } = await connection.request(
        encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body })
      )
      if (status !== 201) throw new Error(`publish answered ${status}`)
    },
    async close () {
      client?.disconnect()
      connection.close()
    }
  }
}
