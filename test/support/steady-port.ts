import { randomInt } from 'node:crypto'
import { isFreePort } from '../../db/embedded/free-port.ts'

/**
 * Returns a free port for a server that stops and starts again there. It is outside the range from which systems take
 * ports for outgoing connections, so nothing takes it meanwhile.
 */
export async function steadyPort (): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000)
    if (await isFreePort(port)) return port
  }
}
