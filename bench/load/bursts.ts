import { setTimeout as sleep } from 'node:timers/promises'
import { answerCalls } from '../children.ts'
import { encodeRequest, HttpConnection } from './http-connection.ts'
import type { Pace } from './pacer.ts'

const connections = 8
const batch = 100

/**
 * Publishes batches of 100 events at a steady rate, or as fast as the server stores them if that is slower. Each event
 * carries the time at which its request was sent (`{"at": epoch ms}`). Returns the number of acknowledged events.
 */
async function publish ({ url, token, topic, perSecond, seconds }: Pace): Promise<number> {
  const publishers = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(url)))
  const begin = performance.now()
  const end = begin + seconds * 1000
  let sent = 0
  let acknowledged = 0
  await Promise.all(publishers.map(async publisher => {
    for (;;) {
      const due = begin + sent++ * batch / perSecond * 1000
      if (Math.max(due, performance.now()) >= end) return
      const waitMs = due - performance.now()
      if (waitMs > 0) await sleep(waitMs)
      const at = performance.timeOrigin + performance.now()
      const events = Array.from({ length: batch }, () => ({ payload: { at, status: 'active', quantity: 3 } }))
      const { status, body } = await publisher.request(
        encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body: JSON.stringify({ events }) })
      )
      if (status !== 201) throw new Error(`publish answered ${status} ${body.toString().slice(0, 300)}`)
      acknowledged += batch
    }
  }))
  for (const publisher of publishers) publisher.close()
  return acknowledged
}

const methods = { publish }
export type BurstsLoad = typeof methods
answerCalls(methods)
