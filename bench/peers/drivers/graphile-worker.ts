import { Logger, makeWorkerUtils, run, type Runner } from 'graphile-worker'
import { concurrency, type Job, type QueueDriver } from './queues.ts'

const task = 'deliver'
const silent = new Logger(() => () => {})

/** graphile-worker with its local queue and batched completion, its fastest settings. */
export async function openGraphileWorker (connectionString: string): Promise<QueueDriver> {
  const utils = await makeWorkerUtils({ connectionString, logger: silent })
  await utils.migrate()
  let runner: Runner | undefined
  return {
    async fill (bodies) {
      await utils.addJobs(bodies.map(body => ({ identifier: task, payload: { body } satisfies Job })))
    },
    async work (deliver) {
      runner = await run({
        taskList: { [task]: async payload => await deliver((payload as Job).body) },
        noHandleSignals: true,
        preset: {
          worker: {
            connectionString, logger: silent, concurrentJobs: concurrency, pollInterval: 200, maxPoolSize: 10,
            localQueue: { size: concurrency * 2 }, completeJobBatchDelay: 5, failJobBatchDelay: 5
          }
        }
      })
    },
    async rest () {
      await runner?.stop()
      runner = undefined
    },
    async close () {
      await runner?.stop()
      await utils.release()
    }
  }
}
