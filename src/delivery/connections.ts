import type { DeliveryLimits } from '../config.ts'
import type { Metrics } from '../metrics.ts'
import { closeCodes, type CloseReason } from './close-codes.ts'
import type { Connection } from './connection.ts'

const sweepMs = 1000
/** How long after its credential's end a socket may live, so that a refresh that is on its way still counts. */
const expiryGraceMs = 2000

/** Told of every connection of this node. */
export interface ConnectionObserver {
  opened (connection: Connection): void
  /** What the client did not read is no longer kept. The connection may live on, or be closed soon. */
  givenUp (connection: Connection): void
  /** It has a fresh principal, who may be allowed less. */
  refreshed (connection: Connection): void
  closed (connection: Connection): void
}

/** Every open connection of this node, across tenants: what ends them all, or those of an ended credential. */
export function createConnections ({ limits, metrics, observer }: { limits: DeliveryLimits, metrics: Metrics, observer: ConnectionObserver }) {
  const all = new Set<Connection>()
  const sweep = setInterval(() => {
    const ended = Date.now() - expiryGraceMs
    closeWhere(connection => connection.principal.expiresAt < ended, closeCodes.CREDENTIAL_EXPIRED)
    boundBuffers()
  }, sweepMs).unref()

  /** Each socket has a bound of its own; together they have one as well, so that many slow clients do not take the node's memory. */
  function boundBuffers (): void {
    const waiting = [...all].map(connection => ({ connection, bytes: connection.checkBuffer() })).filter(({ bytes }) => bytes > 0)
    waiting.sort((a, b) => b.bytes - a.bytes)
    let total = waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    metrics.socketBufferedBytes.set(total)
    metrics.socketBufferedBytesMax.set(waiting[0]?.bytes ?? 0)
    for (const { connection, bytes } of waiting) {
      if (total <= limits.bufferedBytesMax) return
      connection.close(closeCodes.SLOW_CONSUMER)
      connection.transport.cut()
      total -= bytes
    }
  }

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
        observer.closed(connection)
      }
      connection.onGivenUp = () => observer.givenUp(connection)
      connection.onRefreshed = () => observer.refreshed(connection)
      observer.opened(connection)
    },
    closeWhere,
    /** Closes them all, because the server stops. */
    closeAll (reason: CloseReason): void {
      clearInterval(sweep)
      closeWhere(() => true, reason)
    },
    all: (): Iterable<Connection> => all,
    get size () { return all.size }
  }
}
export type Connections = ReturnType<typeof createConnections>
