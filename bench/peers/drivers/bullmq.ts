import { Queue, Worker } from 'bullmq'
import { concurrency, type Job, type QueueDriver } from './queues.ts'

const name = 'deliver'

/** BullMQ with its defaults: a lock of 30 s, and a look for stalled jobs every 30 s. */
export async function openBullMq (url: string): Promise<QueueDriver> {
  const { hostname, port } = new URL(url)
  const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
  const queue = new Queue<Job>(name, { connection })
  await queue.waitUntilReady()
  let worker: Worker<Job> | undefined
  return {
    async fill (bodies) {
      await queue.addBulk(bodies.map(body => ({
        name, data: { body }, opts: { removeOnComplete: true, attempts: 5 }
      })))
    },
    async work (deliver) {
      worker = new Worker<Job>(name, async ({ data }) => await deliver(data.body), { connection, concurrency })
      worker.on('error', () => {})
    },
    async rest () {
      await worker?.close()
      worker = undefined
    },
    async close () {
      await worker?.close(true)
      await queue.close()
    }
  }
}
