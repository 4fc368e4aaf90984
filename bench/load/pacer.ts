import { setTimeout as sleep } from 'node:timers/promises'
import { answerCalls } from '../children.ts'
import { nowUs } from '../clock.ts'
import { encodeRequest, HttpConnection } from './http-connection.ts'

export interface Pace {
  url: string
  token: string
  topic: string
  perSecond: number
  seconds: number
}

const connections = 16

/**
 * Publishes single events at a steady rate, independent of response times. Each event carries its due time (`{"at":
 * µs}`), not its send time, so that a server that falls behind is measured in full. Returns the number of acknowledged
 * events.
 */
async function publish ({ url, token, topic, perSecond, seconds }: Pace): Promise<number> {
  const publishers = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(url)))
  const count = perSecond * seconds
  const begin = nowUs()
  let next = 0
  let acknowledged = 0
  await Promise.all(publishers.map(async publisher => {
    while (next < count) {
      const at = begin + Math.round(next++ * 1e6 / perSecond)
      const waitMs = (at - nowUs()) / 1000
      if (waitMs > 0) await sleep(waitMs)
      const { status, body } = await publisher.request(
        encodeRequest(url, 'POST', `/api/topics/${topic}/events`, {
          token,
          body: `{"payload":{"at":${at},"status":"active"}}`
        })
      )
      if (status !== 201) throw new Error(`publish answered ${status} ${body.toString().slice(0, 300)}`)
      acknowledged++
    }
  }))
  for (const publisher of publishers) publisher.close()
  return acknowledged
}

const methods = { publish }
export type PacerLoad = typeof methods
answerCalls(methods)
