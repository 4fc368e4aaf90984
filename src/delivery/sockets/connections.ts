import { setTimeout as sleep } from 'node:timers/promises'
import type { LiveStats } from '../../foundation/observability/live-stats.ts'
import type { DeliveryLimits } from '../../config/delivery-limits.ts'
import { RateLimitError, ServiceUnavailableError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { closeCodes, type CloseReason } from '../../identity/auth/close-codes.ts'
import { Connection, type ConnectionObserver, type ConnectionOptions, type ConnectionParts } from './connection.ts'
import { subscriptionCost, type HeldBytes } from '../../foundation/limits/held-bytes.ts'
import type { DeliveryObserver } from '../delivery-observer.ts'
import type { Filter } from '../matching/filter.ts'
import type { Subscriber } from '../subscriber.ts'
import { Quota } from '../../foundation/limits/quota.ts'
import { SocketBytes } from './socket-bytes.ts'

const sweepMs = 1000
/** Advice to a client that is refused because its application has too many sockets. */
const connectionRetryMs = 5000
/** How long a socket may outlive its credential, so that a refresh already on its way still counts. */
const expiryGraceMs = 2000

/** Observes every connection of this node. */
export interface ConnectionsObserver extends ConnectionObserver {
  opened (connection: Connection): void
  /** Removes the members of the application that have been away for longest. Returns false if none is away. */
  endAbsence (applicationId: string): boolean
}

/** Quotas that the sockets of all nodes share. */
export interface SocketQuota {
  /** Throws QuotaExceededError unless the application, with so many sockets open at this node, may open another. */
  requireSocket (applicationId: string, open: number): void
  /** The same for subscriptions. */
  requireSubscription (applicationId: string, open: number): void
}

export interface ConnectionsOptions {
  limits: DeliveryLimits
  metrics: Metrics
  observer: ConnectionsObserver
  /** Observes their subscriptions. */
  deliveries: DeliveryObserver
  liveStats: LiveStats
  held: HeldBytes
  shared: SocketQuota
}

/**
 * Creates the registry of this node's open connections, across tenants. It closes all of them at a stop, and those with
 * an ended credential.
 */
export function createConnections (
  { limits, metrics, observer, deliveries, liveStats, held, shared }: ConnectionsOptions
) {
  const all = new Set<Connection>()
  const applications = new Quota(() => limits.connectionsPerApplicationMax)
  let isStopping = false
  const sweep = setInterval(() => {
    const ended = Date.now() - expiryGraceMs
    closeWhere(connection => connection.principal.expiresAt < ended, closeCodes.CREDENTIAL_EXPIRED)
    boundBuffers()
  }, sweepMs).unref()

  /**
   * Enforces the limits that all sockets share, so that many slow clients or many unfinished messages do not exhaust
   * the node's memory. Each socket has a limit of its own besides. Over the limit, closes the largest sockets of the
   * application whose sockets hold the most.
   */
  function boundBuffers (): void {
    const [unread, arriving] = [new SocketBytes(), new SocketBytes()]
    for (const connection of all) {
      unread.add(connection, connection.checkBuffer())
      arriving.add(connection, connection.transport.arrivingBytes)
    }
    metrics.socketBufferedBytes.set(unread.total)
    metrics.socketBufferedBytesMax.set(unread.most)
    metrics.socketArrivingBytes.set(arriving.total)
    unread.cutTo(limits.bufferedBytesMax, closeCodes.SLOW_CONSUMER)
    arriving.cutTo(limits.arrivingBytesMax, closeCodes.TRY_AGAIN_LATER)
  }

  function closeWhere (isMeant: (connection: Connection) => boolean, reason: CloseReason): number {
    const meant = [...all].filter(isMeant)
    for (const connection of meant) connection.close(reason)
    return meant.length
  }

  const ending: ConnectionObserver = {
    givenUp: connection => observer.givenUp(connection),
    refreshed: connection => observer.refreshed(connection),
    closed (connection) {
      all.delete(connection)
      applications.release(connection.scope.applicationId)
      metrics.connections.dec({ transport: connection.transport.kind })
      liveStats.closed(connection.scope, connection.principal.id)
      observer.closed(connection)
    }
  }

  const quota = new Quota(() => limits.subscriptionsPerApplicationMax)
  const parts: ConnectionParts = { observer: ending, deliveries, limits, metrics, quota, held }
  held.shed = applicationId => {
    if (observer.endAbsence(applicationId)) return true
    let largest: Connection | undefined
    for (const connection of all) {
      if (connection.scope.applicationId === applicationId && connection.heldBytes > (largest?.heldBytes ?? 0)) {
        largest = connection
      }
    }
    if (largest === undefined) return false
    largest.close(closeCodes.TRY_AGAIN_LATER)
    // Away members still hold their bytes, so those of the application leave at once.
    while (observer.endAbsence(applicationId));
    return true
  }

  /** Throws ServiceUnavailableError `SHUTTING_DOWN` once the server is stopping. */
  function requireRunning (): void {
    if (isStopping) {
      throw new ServiceUnavailableError('SHUTTING_DOWN', 'The server is stopping. Connect again to reach another one')
    }
  }

  return {
    requireRunning,
    /**
     * Throws ServiceUnavailableError `SHUTTING_DOWN`, QuotaExceededError, or RateLimitError `CONNECTION_LIMIT` if the
     * application has reached its limit of sockets.
     */
    requireRoom ({ applicationId }: Scope): void {
      requireRunning()
      shared.requireSocket(applicationId, applications.count(applicationId))
      if (applications.isFree(applicationId)) return
      metrics.connectionsRefused.inc({ limit: 'application' })
      throw new RateLimitError(
        'CONNECTION_LIMIT',
        `The application has reached its limit of ${limits.connectionsPerApplicationMax} open sockets at this node`,
        { retryAfterMs: connectionRetryMs }
      )
    },
    /**
     * Throws QuotaExceededError, or RateLimitError: `SUBSCRIPTION_LIMIT` if the connection or its application has
     * reached its limit of subscriptions, and `MEMORY_LIMIT` if the application's subscriptions and states hold too
     * many bytes.
     */
    requireRoomToSubscribe ({ subscriptions, scope }: Subscriber, filter: Filter | undefined): void {
      const { subscriptionsPerConnectionMax: most, subscriptionsPerApplicationMax: mostOfAll } = limits
      if (subscriptions.length >= most) {
        throw new RateLimitError('SUBSCRIPTION_LIMIT', `The connection has reached its limit of ${most} subscriptions`)
      }
      shared.requireSubscription(scope.applicationId, quota.count(scope.applicationId))
      if (!quota.isFree(scope.applicationId)) {
        throw new RateLimitError(
          'SUBSCRIPTION_LIMIT',
          `The application has reached its limit of ${mostOfAll} subscriptions at this node`
        )
      }
      held.requireRoom(scope.applicationId, subscriptionCost(filter?.fingerprint))
    },
    /** Opens a connection. The caller must call `closed` on it when its link is gone. */
    open (link: Pick<ConnectionOptions, 'transport' | 'client' | 'principal' | 'scope'>): Connection {
      const stats = liveStats.scope(link.scope)
      // Shares one scope object among all connections of the scope.
      const connection = new Connection({ ...link, scope: stats.scope, stats, parts })
      all.add(connection)
      applications.take(connection.scope.applicationId)
      metrics.connections.inc({ transport: connection.transport.kind })
      liveStats.opened(connection.scope, connection.principal.id)
      observer.opened(connection)
      return connection
    },
    closeWhere,
    /** Returns what this node has open for each application. */
    counts (): Map<string, { sockets: number, subscriptions: number }> {
      return new Map([...applications.owners()].map(id => [
        id, { sockets: applications.count(id), subscriptions: quota.count(id) }
      ]))
    },
    /**
     * Closes all connections one by one, in random order, over `ms`, so that their clients do not all reconnect at
     * once. Resolves when all are closed.
     */
    async closeOver (ms: number, reason: CloseReason): Promise<void> {
      isStopping = true
      const closings = [...all].map(connection => ({ connection, at: Math.random() * ms })).sort((a, b) => a.at - b.at)
      const begin = performance.now()
      for (const { connection, at } of closings) {
        const waitMs = at - (performance.now() - begin)
        if (waitMs > 1) await sleep(waitMs)
        connection.close(reason)
      }
    },
    /** Closes all connections at once, because the server stops. */
    closeAll (reason: CloseReason): void {
      isStopping = true
      clearInterval(sweep)
      closeWhere(() => true, reason)
    },
    all: (): Iterable<Connection> => all,
    get size () { return all.size }
  }
}
export type Connections = ReturnType<typeof createConnections>
