import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** Returns a loopback port that was just free. Another process may still take it first. */
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
