import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, isFreePort } from './free-port.ts'

/**
 * Returns the port of the cluster's last start where that is free, so that stored connection strings stay valid, and
 * any free port otherwise. `taken`: ports that turned out not to be free after all.
 */
export async function samePort (clusterDir: string, taken: ReadonlySet<number>): Promise<number> {
  const last = await lastPort(clusterDir)
  return last !== undefined && !taken.has(last) && await isFreePort(last) ? last : await freePort()
}

/** PostgreSQL keeps the command line of its last start in `postmaster.opts`, however that start ended. */
async function lastPort (clusterDir: string): Promise<number | undefined> {
  const text = await readFile(join(clusterDir, 'postmaster.opts'), 'utf8').catch(() => '')
  const port = Number([...text.matchAll(/"port=(\d{1,5})"/g)].at(-1)?.[1])
  return port > 0 && port < 65_536 ? port : undefined
}
