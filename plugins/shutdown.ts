import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { closeCodes } from '../src/identity/auth/close-codes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Where there are other nodes, lets them take over before `close`: no connection is accepted any more, and sockets
     * are told to come back, over `moveMs`. What is asked over connections that are open is answered meanwhile. With
     * one node, it does nothing.
     */
    moveAway (): Promise<void>
  }
}

/** Requests under way are answered well within it; three seconds after a signal everything is to be over. */
const drainMs = 1000

/**
 * A stop waits for those who can be waited for. Whoever does not read, never finishes their request or does not answer
 * a goodbye is cut off: otherwise one sleeping phone would hold up the stop until it is broken off half-way.
 */
export default fp(async (app) => {
  let isMoving = false
  app.health.add(
    'shutdown', async () => isMoving ? { status: 'failed', message: 'it is shutting down' } : { status: 'ok' }
  )
  app.decorate('moveAway', async () => {
    const { cluster, connections, config: { cluster: { moveMs }, shutdownTimeoutMs } } = app
    if (cluster === undefined || cluster.peers.count === 0) return
    isMoving = true
    // Idle ones end with it; the others do after their next answer.
    app.server.close()
    app.server.prependListener('request', (_request, response: ServerResponse) => { response.shouldKeepAlive = false })
    await connections.closeOver(Math.min(moveMs, shutdownTimeoutMs / 3), closeCodes.RESTART)
  })
  let deadline: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    deadline = setTimeout(() => app.clientLinks.cutAll(), drainMs)
  })
  app.addHook('onClose', async () => clearTimeout(deadline))
}, { name: 'shutdown', dependencies: ['bus', 'config', 'connection-limits', 'delivery', 'health'] })
