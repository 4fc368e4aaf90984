import { setTimeout as sleep } from 'node:timers/promises'
import type { Activity } from '../../foundation/observability/live-stats.ts'
import type { DeliveryLimits } from '../../config.ts'
import { RateLimitError, ServiceUnavailableError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { closeCodes, type CloseReason } from '../../identity/auth/close-codes.ts'
import { Connection, type ConnectionObserver, type ConnectionOptions, type ConnectionParts } from './connection.ts'
import { subscriptionCost, type HeldBytes } from '../../foundation/limits/held-bytes.ts'
import type { DeliveryObserver } from '../delivery-observer.ts'
import type { Filter } from '../matching/filter.ts'
import type { Subscriber } from '../subscriber.ts'
import { Seats } from '../../foundation/limits/quota.ts'
import { SocketBytes } from './socket-bytes.ts'

const sweepMs = 1000
/** What a client is told that finds no place. */
const connectionRetryMs = 5000
/** How long after its credential's end a socket may live, so that a refresh that is on its way still counts. */
const expiryGraceMs = 2000

/** Told of every connection of this node. */
export interface ConnectionsObserver extends ConnectionObserver {
  opened (connection: Connection): void
  /**
   * Removes members of the application that are away, those that have been away for longest. Returns false where there
   * are none.
   */
  endAbsence (applicationId: string): boolean
}

export interface ConnectionsOptions {
  limits: DeliveryLimits
  metrics: Metrics
  observer: ConnectionsObserver
  /** Observes subscriptions. */
  deliveries: DeliveryObserver
  activity: Activity
  held: HeldBytes
}

/** Every open connection of this node, across tenants: what ends them all, or those of an ended credential. */
export function createConnections ({ limits, metrics, observer, deliveries, activity, held }: ConnectionsOptions) {
  const all = new Set<Connection>()
  const applications = new Seats(() => limits.connectionsPerApplicationMax)
  let isStopping = false
  const sweep = setInterval(() => {
    const ended = Date.now() - expiryGraceMs
    closeWhere(connection => connection.principal.expiresAt < ended, closeCodes.CREDENTIAL_EXPIRED)
    boundBuffers()
  }, sweepMs).unref()

  /**
   * Each socket has a bound of its own; together they have one as well, so that many slow clients, or many unfinished
   * messages, do not take the node's memory. Beyond it, the application whose sockets hold the most loses those that
   * hold the most of it.
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
      applications.leave(connection.scope.applicationId)
      metrics.connections.dec({ transport: connection.transport.kind })
      activity.closed(connection.scope, connection.principal.id)
      observer.closed(connection)
    }
  }

  const seats = new Seats(() => limits.subscriptionsPerApplicationMax)
  const parts: ConnectionParts = { observer: ending, deliveries, limits, metrics, seats, held }
  held.shed = applicationId => {
    if (observer.endAbsence(applicationId)) return true
    let largest: Connection | undefined
    for (const connection of all) {
      if (connection.scope.applicationId === applicationId && connection.heldBytes > (largest?.heldBytes ?? 0)) { largest = connection }
    }
    if (largest === undefined) return false
    largest.close(closeCodes.TRY_AGAIN_LATER)
    // Its members hold as much as before while they may come back.
    while (observer.endAbsence(applicationId));
    return true
  }

  /** Throws ServiceUnavailableError `SHUTTING_DOWN` once connections are being closed because the server stops. */
  function requireRunning (): void {
    if (isStopping) { throw new ServiceUnavailableError('SHUTTING_DOWN', 'The server is stopping. Connect again to reach another one') }
  }

  return {
    requireRunning,
    /**
     * Throws ServiceUnavailableError `SHUTTING_DOWN`, or RateLimitError `CONNECTION_LIMIT` when the application has as
     * many as it may.
     */
    requireRoom ({ applicationId }: Scope): void {
      requireRunning()
      if (applications.isFree(applicationId)) return
      metrics.connectionsRefused.inc({ limit: 'application' })
      throw new RateLimitError(
        'CONNECTION_LIMIT',
        `The application has ${limits.connectionsPerApplicationMax} sockets open, as many as it may`,
        { retryAfterMs: connectionRetryMs }
      )
    },
    /**
     * Throws RateLimitError `SUBSCRIPTION_LIMIT` when the connection, or its application, has as many subscriptions as
     * it may, and `MEMORY_LIMIT` when they hold as much.
     */
    requireRoomToSubscribe ({ subscriptions, scope }: Subscriber, filter: Filter | undefined): void {
      const { subscriptionsPerConnectionMax: most, subscriptionsPerApplicationMax: mostOfAll } = limits
      if (subscriptions.length >= most) { throw new RateLimitError('SUBSCRIPTION_LIMIT', `The connection holds ${most} subscriptions, the most it may`) }
      if (!seats.isFree(scope.applicationId)) {
        throw new RateLimitError(
          'SUBSCRIPTION_LIMIT',
          `The application holds ${mostOfAll} subscriptions at this node, the most it may`
        )
      }
      held.requireRoom(scope.applicationId, subscriptionCost(filter?.fingerprint))
    },
    /** Opens one; its caller says when its link is gone. */
    open (link: Pick<ConnectionOptions, 'transport' | 'principal' | 'scope'>): Connection {
      const scopeActivity = activity.scope(link.scope)
      // All of a scope share the one that names it.
      const connection = new Connection({ ...link, scope: scopeActivity.scope, activity: scopeActivity, parts })
      all.add(connection)
      applications.take(connection.scope.applicationId)
      metrics.connections.inc({ transport: connection.transport.kind })
      activity.opened(connection.scope, connection.principal.id)
      observer.opened(connection)
      return connection
    },
    closeWhere,
    /**
     * Closes them one by one over a while, in no order, so that those who come back elsewhere do not come all at once.
     * Resolves when it has.
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
    /** Closes them all, because the server stops. */
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
