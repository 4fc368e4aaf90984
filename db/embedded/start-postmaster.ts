import { setTimeout as sleep } from 'node:timers/promises'
import { endOrphan } from './orphan.ts'
import { samePort } from './same-port.ts'
import { Postmaster, StartError, type PostmasterOptions } from './postmaster.ts'

// For temporary failures: a port that another process took first, or processes of a killed server that are still
// ending.
const triesMs = 30_000

/**
 * Stops an orphaned server of the cluster, then starts a server on the port of its last start if that is free,
 * otherwise on another one.
 */
export async function startPostmaster (
  options: PostmasterOptions,
  nextPort: (taken: ReadonlySet<number>) => Promise<number> = taken => samePort(options.clusterDir, taken)
): Promise<{ postmaster: Postmaster, port: number }> {
  const deadline = performance.now() + triesMs
  const taken = new Set<number>()
  for (;;) {
    const stalePid = await endOrphan(options.clusterDir, options.log)
    const port = await nextPort(taken)
    try {
      return { postmaster: await Postmaster.start(options, port, stalePid), port }
    } catch (error) {
      if (!(error instanceof StartError && error.isTransient) || performance.now() > deadline) throw error
      if (error.isPortTaken) taken.add(port)
      options.log('warn', 'postgres.start_retried', { port, reason: error.reason })
      await sleep(100)
    }
  }
}
