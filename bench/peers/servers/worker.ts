import { createHmac, randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import { answerCalls } from '../../children.ts'
import { cpuSeconds } from '../../servers/usage.ts'
import { openBullMq } from '../drivers/bullmq.ts'
import { openGraphileWorker } from '../drivers/graphile-worker.ts'
import { openPgBoss } from '../drivers/pg-boss.ts'
import { concurrency, type QueueDriver } from '../drivers/queues.ts'

/* A worker that a user would write for signed webhooks on a job queue. It keeps no log of attempts. */

export type QueueKind = 'graphile-worker' | 'pg-boss' | 'bullmq'

const drivers = { 'graphile-worker': openGraphileWorker, 'pg-boss': openPgBoss, bullmq: openBullMq }
const secret = Buffer.alloc(32, 7)
const filledAtOnce = 500
const filler = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

let driver: QueueDriver
let requests: Pool | undefined

async function start (kind: QueueKind, url: string): Promise<void> {
  driver = await drivers[kind](url)
}

/** Adds a job for each number from `first` on. */
async function fill (first: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += filledAtOnce) {
    await driver.fill(Array.from(
      { length: Math.min(filledAtOnce, count - done) },
      (_, i) => JSON.stringify({ type: 'topic.event', data: { payload: { n: first + done + i, ...filler } } })
    ))
  }
}

async function work (sink: string): Promise<void> {
  const { origin, pathname } = new URL(sink)
  requests ??= new Pool(origin, { connections: concurrency, pipelining: 1 })
  const pool = requests
  await driver.work(async body => {
    const id = randomUUID()
    const timestamp = Math.floor(Date.now() / 1000)
    const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')
    const { statusCode, body: answer } = await pool.request({
      method: 'POST',
      path: pathname,
      body,
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${signature}`
      }
    })
    await answer.dump()
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
  })
}

const methods = { start, fill, work, rest: () => driver.rest(), cpuSeconds }
export type QueueWorker = typeof methods
answerCalls(methods, async () => {
  await driver.close()
  await requests?.close()
})
