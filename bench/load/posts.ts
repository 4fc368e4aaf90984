import { Pool } from 'undici'
import { answerCalls } from '../children.ts'

/*
 * Webhooks without the platform: undici posts the same bodies with the same concurrency. Nothing is stored, signed or
 * retried.
 */

async function post (url: string, body: string, count: number, connections: number): Promise<void> {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections, pipelining: 1 })
  let left = count
  await Promise.all(Array.from({ length: connections }, async () => {
    while (left-- > 0) {
      const { statusCode, body: answer } = await pool.request({
        method: 'POST', path: pathname, headers: { 'content-type': 'application/json' }, body
      })
      await answer.dump()
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
    }
  }))
  await pool.close()
}

const methods = { post }
export type PostsLoad = typeof methods
answerCalls(methods)
