import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, isFreePort } from './free-port.ts'

/**
 * Returns the port of the cluster's last start if it is free, so that stored connection strings stay valid, otherwise
 * any free port. `taken` are ports that turned out to be in use.
 */
export async function samePort (clusterDir: string, taken: ReadonlySet<number>): Promise<number> {
  const last = await lastPort(clusterDir)
  return last !== undefined && !taken.has(last) && await isFreePort(last) ? last : await freePort()
}

/** PostgreSQL keeps the command line of its last start in `postmaster.opts`, regardless of how that start ended. */
async function lastPort (clusterDir: string): Promise<number | undefined> {
  const text = await readFile(join(clusterDir, 'postmaster.opts'), 'utf8').catch(() => '')
  const port = Number([...text.matchAll(/"port=(\d{1,5})"/g)].at(-1)?.[1])
  return port > 0 && port < 65_536 ? port : undefined
}
