import type { Metrics } from '../metrics.ts'
import { closeCodes, type CloseReason } from './close-codes.ts'
import type { Connection } from './connection.ts'

const expirySweepMs = 1000
/** How long after its credential's end a socket may live, so that a refresh that is on its way still counts. */
const expiryGraceMs = 2000

/** Every open connection of this node, across tenants: what ends them all, or those of an ended credential. */
export function createConnections ({ metrics }: { metrics: Metrics }) {
  const all = new Set<Connection>()
  const sweep = setInterval(() => {
    const ended = Date.now() - expiryGraceMs
    closeWhere(connection => connection.principal.expiresAt < ended, closeCodes.CREDENTIAL_EXPIRED)
  }, expirySweepMs).unref()

  function closeWhere (isMeant: (connection: Connection) => boolean, reason: CloseReason): number {
    const meant = [...all].filter(isMeant)
    for (const connection of meant) connection.close(reason)
    return meant.length
  }

  return {
    add (connection: Connection): void {
      all.add(connection)
      const transport = connection.transport.kind
      metrics.connections.inc({ transport })
      connection.onClosed = () => {
        all.delete(connection)
        metrics.connections.dec({ transport })
      }
    },
    closeWhere,
    /** Closes them all, because the server stops. */
    closeAll (reason: CloseReason): void {
      clearInterval(sweep)
      closeWhere(() => true, reason)
    },
    get size () { return all.size }
  }
}
export type Connections = ReturnType<typeof createConnections>
