import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from './teardown.ts'

/** A proxy in front of a server that cuts connections, refuses new ones, and swallows what the server answers. */
export interface CuttingProxy {
  /** The address for clients: `http://127.0.0.1:…`. */
  readonly url: string
  /** Resets every connection. New ones are accepted unless `isRefusing`. */
  cut (): void
  /** Ends new connections at once. */
  isRefusing: boolean
  /** Discards everything that the server sends. Requests still arrive. */
  isMute: boolean
}

export async function startCuttingProxy (t: Teardown, target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target)
  const open = new Set<Socket>()
  const server = createServer(client => {
    if (proxy.isRefusing) return client.destroy()
    const upstream = connect(Number(port), hostname)
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      open.add(from)
      from.on('error', () => {})
      from.on('data', (data: Buffer) => { if (from === client || !proxy.isMute) to.write(data) })
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isRefusing: false,
    isMute: false,
    cut () { for (const socket of open) socket.destroy() }
  }
  t.teardown(() => {
    server.close()
    proxy.cut()
  })
  return proxy
}
