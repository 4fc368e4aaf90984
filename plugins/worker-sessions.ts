import fp from 'fastify-plugin'
import { WorkerSessions, type Engine } from '../src/delivery/sockets/worker-sessions.ts'

/** Brings the requests of Socket.IO's sessions to the worker that has them. Does nothing without workers. */
export default fp(async (app) => {
  const { worker, server, io } = app
  if (worker === undefined) return
  const sessions = new WorkerSessions(worker, server)
  sessions.route(io.engine as Engine)
  app.addHook('onReady', async () => await sessions.start())
  app.addHook('preClose', async () => sessions.close())
}, { name: 'worker-sessions', dependencies: ['socket-io', 'worker'] })
