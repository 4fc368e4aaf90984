import { setTimeout as sleep } from 'node:timers/promises'
import { answerCalls } from '../children.ts'
import { encodeRequest, HttpConnection } from './http-connection.ts'

export interface Noise { url: string, token: string, topic: string, connections: number, batch: number }

export interface NoiseTotals { published: number, refused: number, seconds: number }

let stop: (() => Promise<NoiseTotals>) | undefined

/** Publishes batches as fast as the server answers. After a refusal, a connection waits as long as the server says. */
async function start ({ url, token, topic, connections, batch }: Noise): Promise<void> {
  const payload = {
    at: 0, status: 'active', title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c']
  }
  const body = JSON.stringify({ events: Array.from({ length: batch }, () => ({ payload })) })
  const bytes = encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body })
  const links = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(url)))
  const begin = performance.now()
  const totals = { published: 0, refused: 0 }
  const state = { isOver: false }
  const running = Promise.all(links.map(async link => {
    while (!state.isOver) {
      const { status, body: answer } = await link.request(bytes)
      if (status === 201) totals.published += batch
      else if (status === 429) {
        totals.refused++
        const { retryAfterMs } = JSON.parse(answer.toString()) as { retryAfterMs: number }
        await sleep(Math.min(retryAfterMs, 1000))
      } else throw new Error(`publish answered ${status} ${answer.toString().slice(0, 300)}`)
    }
    link.close()
  }))
  stop = async () => {
    state.isOver = true
    await running
    return { ...totals, seconds: (performance.now() - begin) / 1000 }
  }
}

async function end (): Promise<NoiseTotals> {
  if (stop === undefined) throw new Error('it has not been started')
  return await stop()
}

const methods = { start, end }
export type NoiseLoad = typeof methods
answerCalls(methods)
