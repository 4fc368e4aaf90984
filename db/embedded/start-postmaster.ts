import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { endOrphan } from './orphan.ts'
import { Postmaster, StartError, type PostmasterOptions } from './postmaster.ts'

// for failures that pass: a port that somebody else took first, processes of a killed server that are still ending
const triesMs = 30_000

/** Ends an orphan of the cluster, then starts a server on a free port, with another one when it was not free after all. */
export async function startPostmaster (
  options: PostmasterOptions, nextPort: () => Promise<number> = freePort
): Promise<{ postmaster: Postmaster, port: number }> {
  const deadline = performance.now() + triesMs
  for (;;) {
    const stalePid = await endOrphan(options.clusterDir, options.log)
    const port = await nextPort()
    try {
      return { postmaster: await Postmaster.start(options, port, stalePid), port }
    } catch (error) {
      if (!(error instanceof StartError && error.isTransient) || performance.now() > deadline) throw error
      options.log('warn', 'postgres.start_retried', { port, reason: error.reason })
      await sleep(100)
    }
  }
}
