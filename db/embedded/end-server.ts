import type { EmbeddedPostgresLog } from './log.ts'
import { becomesTrue } from './wait.ts'

/** A server process that can be stopped. */
export interface Endable {
  /** Called only right after `hasEnded` returned false. */
  send (signal: NodeJS.Signals): void
  hasEnded (): boolean | Promise<boolean>
}

// Fast shutdown (clients are cut off, a checkpoint is written), then immediate (the next start recovers), then SIGKILL.
const signals: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGKILL']

/** Stops a server with the gentlest signal that works within its time. Throws when even SIGKILL has no effect. */
export async function endServer (server: Endable, log: EmbeddedPostgresLog, waitMs = 5000): Promise<void> {
  for (const signal of signals) {
    if (await server.hasEnded()) return
    server.send(signal)
    if (await becomesTrue(() => server.hasEnded(), waitMs)) return
    log('warn', 'postgres.stop_is_slow', { signal, waitMs })
  }
  throw new Error('the embedded PostgreSQL did not stop, not even after SIGKILL')
}
