import PgBoss from 'pg-boss'
import { setTimeout as sleep } from 'node:timers/promises'
import { concurrency, leaseSeconds, type Job, type QueueDriver } from './queues.ts'

const queue = 'deliver'
const batchSize = 250
const fetchers = 2

/** pg-boss, fetched and completed in batches, which is faster than its own polling. */
export async function openPgBoss (connectionString: string): Promise<QueueDriver> {
  const boss = new PgBoss({ connectionString, max: 10, maintenanceIntervalSeconds: 1 })
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue(queue)
  const state = { isOver: false }
  let running: Promise<unknown> = Promise.resolve()
  let ended: string[] = []
  let settling: Promise<void> | undefined

  async function settle (): Promise<void> {
    while (ended.length > 0) {
      const ids = ended
      ended = []
      await boss.complete(queue, ids)
    }
    settling = undefined
  }

  async function drain (deliver: (body: string) => Promise<void>): Promise<void> {
    while (!state.isOver) {
      const jobs = await boss.fetch<Job>(queue, { batchSize })
      if (jobs.length === 0) {
        await sleep(100)
        continue
      }
      const left = [...jobs]
      await Promise.all(Array.from({ length: concurrency / fetchers }, async () => {
        for (let job = left.shift(); job !== undefined; job = left.shift()) {
          await deliver(job.data.body)
          ended.push(job.id)
          settling ??= settle()
        }
      }))
    }
    await settling
  }
  return {
    async fill (bodies) {
      await boss.insert(bodies.map(body => ({
        name: queue, data: { body } satisfies Job, retryLimit: 5, retryDelay: 1, expireInSeconds: leaseSeconds
      })))
    },
    async work (deliver) {
      state.isOver = false
      running = Promise.all(Array.from({ length: fetchers }, () => drain(deliver)))
    },
    async rest () {
      state.isOver = true
      await running
    },
    async close () {
      state.isOver = true
      await running
      await boss.stop({ graceful: false })
    }
  }
}
