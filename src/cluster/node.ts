import { randomId } from '../foundation/ids.ts'

/**
 * The identity of a process: its name in the cluster, in traces, leases, metrics, `/health` and the log. Each start of
 * the server is another node.
 */
export interface Node {
  readonly id: string
  /** Milliseconds since the epoch, by this machine's clock. */
  readonly startedAt: number
}

export const createNode = (): Node => ({ id: randomId('node'), startedAt: Date.now() })
