import type { Scope } from '../../../schemas/scope.ts'
import { authorizeTopic } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import type { Publisher } from '../../registry/topics/publisher.ts'
import type { Connection } from './connection.ts'
import { socketRequest, type SocketRequest } from './protocol.ts'

export interface AppendOptions {
  publisher: Pick<Publisher, 'append'>
  /**
   * Counts the request as one over REST. Throws, or rejects with, RateLimitError `RATE_LIMITED`. Undefined if there is
   * nothing to wait for.
   */
  countRequest (principal: Principal, scope: Scope): Promise<void> | undefined
}

/**
 * Creates `append`, which publishes to a topic. The events of a connection are stored in the order of its requests,
 * whether or not it waits for the answers.
 */
export function appendRequest ({ publisher, countRequest }: AppendOptions): SocketRequest<'append'> {
  /** By connection, its last request that waits to be counted. */
  const waiting = new WeakMap<Connection, Promise<void>>()

  async function count (connection: Connection): Promise<void> {
    const before = waiting.get(connection)
    const counted = countRequest(connection.principal, connection.scope)
    if (before === undefined && counted === undefined) return
    const turn = Promise.allSettled([before, counted]).then(() => {
      if (waiting.get(connection) === turn) waiting.delete(connection)
    })
    waiting.set(connection, turn)
    await turn
    await counted
  }

  return socketRequest('append', async (connection, { topic, idempotencyKey, ...body }, respond) => {
    authorizeTopic(connection.principal, connection.scope, 'publish', topic)
    await count(connection)
    const { principal, scope } = connection
    // Repeated, because a fresh token may have arrived in the meantime.
    authorizeTopic(principal, scope, 'publish', topic)
    const { id, offset, count: stored, epoch } = await publisher.append(scope, topic, body, {
      idempotencyKey: idempotencyKey === undefined ? undefined : { owner: principal.id, key: idempotencyKey }
    })
    respond(body.events === undefined ? { eventId: id, offset, epoch } : { offset, count: stored, epoch })
  })
}
