import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** Returns a port of the loopback that was free a moment ago: another process may still be quicker to take it. */
export const freePort = async (): Promise<number> => await tryPort(0)

export const isFreePort = async (port: number): Promise<boolean> => await tryPort(port).then(() => true, () => false)

async function tryPort (wanted: number): Promise<number> {
  const server = createServer()
  server.listen(wanted, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
