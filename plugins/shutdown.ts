import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { closeCodes } from '../src/identity/auth/close-codes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Lets the other nodes take over before `close`: accepts no further connections and closes the sockets over
     * `moveMs`, with a code that lets their clients reconnect. Meanwhile, requests over open connections are answered.
     * Does nothing if all other nodes stop as well, of which `stoppingToo` is the number.
     */
    moveAway (stoppingToo?: number): Promise<void>
  }
}

/** Time for requests in progress to complete. The whole stop should take three seconds. */
const drainMs = 1000

/**
 * Limits the time of a stop. Connections are cut off if their client does not read, does not finish its request, or
 * does not answer a close. Otherwise one sleeping phone would delay the stop until the process is killed.
 */
export default fp(async (app) => {
  let isMoving = false
  app.health.add(
    'shutdown', async () => isMoving ? { status: 'failed', message: 'The node is shutting down' } : { status: 'ok' }
  )
  app.decorate('moveAway', async (stoppingToo = 0) => {
    const { cluster, connections, config: { cluster: { moveMs }, shutdownTimeoutMs } } = app
    if (cluster.peers.count <= stoppingToo) return
    isMoving = true
    // `close` ends idle connections; the others end after their next response.
    app.server.close()
    app.server.prependListener('request', (_request, response: ServerResponse) => { response.shouldKeepAlive = false })
    await connections.closeOver(Math.min(moveMs, shutdownTimeoutMs / 3), closeCodes.RESTART)
  })
  let deadline: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    deadline = setTimeout(() => app.clientLinks.cutAll(), drainMs)
  })
  app.addHook('onClose', async () => clearTimeout(deadline))
}, { name: 'shutdown', dependencies: ['cluster', 'config', 'connection-limits', 'delivery', 'health'] })
