import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from './teardown.ts'

/**
 * A minimal load balancer: each connection goes to the next node that accepts it. A sticky one sends all connections to
 * the same node while that accepts them.
 */
export async function startBalancer (
  t: Teardown, ports: readonly number[], { isSticky = false } = {}
): Promise<string> {
  let turn = 0
  const open = new Set<Socket>()
  const server = createServer(client => {
    open.add(client)
    client.on('error', () => {})
    client.once('close', () => open.delete(client))
    forward(client, ports.length)
  })
  function forward (client: Socket, triesLeft: number): void {
    if (triesLeft === 0) {
      client.destroy()
      return
    }
    const upstream = connect(ports[turn % ports.length] as number, '127.0.0.1')
    if (!isSticky) turn++
    const tryNext = () => {
      if (isSticky) turn++
      forward(client, triesLeft - 1)
    }
    upstream.once('error', tryNext)
    upstream.once('connect', () => {
      upstream.off('error', tryNext)
      upstream.on('error', () => {})
      client.pipe(upstream).pipe(client)
      client.once('close', () => upstream.destroy())
      upstream.once('close', () => client.destroy())
    })
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
