import { rm } from 'node:fs/promises'
import { endServer } from './end-server.ts'
import { pidFilePath, readPidFile } from './pid-file.ts'
import { isServerOf } from './processes.ts'
import type { EmbeddedPostgresLog } from './log.ts'

/**
 * Ends, in order, the server that a killed platform process left running on this cluster. Answers the pid of a stale
 * `postmaster.pid`, which may belong to an unrelated process by now and must not keep the next server from starting.
 * Only for the holder of the data folder's lock: another process's server would be taken for an orphan.
 */
export async function endOrphan (clusterDir: string, log: EmbeddedPostgresLog): Promise<number | undefined> {
  const file = await readPidFile(clusterDir)
  if (file === undefined) return undefined
  if (file === 'damaged') {
    // PostgreSQL would refuse to start; nobody can be writing it, since we hold the lock
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
      `a PostgreSQL (pid ${pid}) that a killed platform process left running belongs to another user: end it, or set DATA_DIR to another folder`,
      { cause: error }
    )
  }
}
