import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the server's own `postmaster.pid` says. It may be stale: check the pid before believing it. */
export interface PidFile {
  pid: number
  /** True once the server lets clients in. */
  isReady: boolean
}

export const pidFilePath = (clusterDir: string) => join(clusterDir, 'postmaster.pid')

/** Answers undefined when there is no file, and 'damaged' when it names no process. */
export async function readPidFile (clusterDir: string): Promise<PidFile | 'damaged' | undefined> {
  const text = await readFile(pidFilePath(clusterDir), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  // pid, folder, start time, port, socket folder, address, shared memory key, status; a lone backend's pid is negative
  const lines = text.split('\n')
  const pid = Math.abs(Number(lines[0]))
  return Number.isSafeInteger(pid) && pid > 0 ? { pid, isReady: lines[7]?.trim() === 'ready' } : 'damaged'
}
