import type { EmbeddedPostgresLog } from './log.ts'
import { becomesTrue } from './wait.ts'

/** A server process that can be told to end. */
export interface Endable {
  /** Only ever called right after `hasEnded` answered false. */
  send (signal: NodeJS.Signals): void
  hasEnded (): boolean | Promise<boolean>
}

// fast shutdown (clients are cut off, a checkpoint is written), then immediate (the next start recovers), then force
const signals: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGKILL']

/** Ends a server the gentlest way that works, each in its time. Throws when even SIGKILL does not end it. */
export async function endServer (server: Endable, log: EmbeddedPostgresLog, waitMs = 5000): Promise<void> {
  for (const signal of signals) {
    if (await server.hasEnded()) return
    server.send(signal)
    if (await becomesTrue(() => server.hasEnded(), waitMs)) return
    log('warn', 'postgres.stop_is_slow', { signal, waitMs })
  }
  throw new Error('the embedded PostgreSQL does not end, not even by SIGKILL')
}
