import type { Socket } from 'node:net'
import fp from 'fastify-plugin'

/** Requests under way are answered well within it; three seconds after a signal everything is to be over. */
const drainMs = 1000

/**
 * A stop waits for those who can be waited for. Whoever does not read, never finishes their request or does not answer
 * a goodbye is cut off: otherwise one sleeping phone would hold up the stop until it is broken off half-way.
 */
export default fp(async (app) => {
  const open = new Set<Socket>()
  function forget (this: Socket) { open.delete(this) }
  app.server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', forget)
  })
  let deadline: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    deadline = setTimeout(() => { for (const socket of open) socket.destroy() }, drainMs)
  })
  app.addHook('onClose', async () => clearTimeout(deadline))
}, { name: 'shutdown' })
