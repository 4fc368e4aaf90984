import fp from 'fastify-plugin'
import type { WorkerContext } from '../src/cluster/ipc/worker-context.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The links of a worker to its parent and the other workers; undefined in a process without WORKERS. */
    worker: WorkerContext | undefined
  }
}

/** Decorates the app with the context of a worker. */
export default fp<{ worker?: WorkerContext }>(async (app, { worker }) => {
  app.decorate('worker', worker)
}, { name: 'worker' })
