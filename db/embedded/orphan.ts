import { rm } from 'node:fs/promises'
import { endServer } from './end-server.ts'
import { pidFilePath, readPidFile } from './pid-file.ts'
import { isServerOf } from './processes.ts'
import type { EmbeddedPostgresLog } from './log.ts'

/**
 * Stops the server that a killed platform process left running on this cluster. Returns the pid of a stale
 * `postmaster.pid`, which an unrelated process may have by now, and which must not keep the next server from starting.
 * Call it only while you hold the lock of the data folder: otherwise it would stop another process's server.
 */
export async function endOrphan (clusterDir: string, log: EmbeddedPostgresLog): Promise<number | undefined> {
  const file = await readPidFile(clusterDir)
  if (file === undefined) return undefined
  if (file === 'damaged') {
    // PostgreSQL would refuse to start. No other process is writing the file, since we hold the lock.
    log('warn', 'postgres.pid_file_damaged', { clusterDir })
    await rm(pidFilePath(clusterDir), { force: true })
    return undefined
  }
  const { pid } = file
  if (!await isServerOf(clusterDir, pid)) return pid
  log('warn', 'postgres.orphan_found', { pid })
  await endServer({
    send: (signal) => { signalOrphan(pid, signal) },
    hasEnded: async () => !await isServerOf(clusterDir, pid)
  }, log)
  return pid
}

function signalOrphan (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return
    throw new Error(
      `a PostgreSQL server (pid ${pid}) that a killed platform process left running belongs to another user: stop ` +
        'it, or set DATA_DIR to another folder',
      { cause: error }
    )
  }
}
