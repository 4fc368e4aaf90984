import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The content of the server's `postmaster.pid`. It may be stale: check the pid before you rely on it. */
export interface PidFile {
  pid: number
  /** True once the server accepts clients. */
  isReady: boolean
}

export const pidFilePath = (clusterDir: string) => join(clusterDir, 'postmaster.pid')

/** Returns undefined if there is no file, and 'damaged' if it has no valid pid. */
export async function readPidFile (clusterDir: string): Promise<PidFile | 'damaged' | undefined> {
  const text = await readFile(pidFilePath(clusterDir), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  // The lines are pid, folder, start time, port, socket folder, address, shared memory key and status. The pid of a
  // single backend is negative.
  const lines = text.split('\n')
  const pid = Math.abs(Number(lines[0]))
  return Number.isSafeInteger(pid) && pid > 0 ? { pid, isReady: lines[7]?.trim() === 'ready' } : 'damaged'
}
