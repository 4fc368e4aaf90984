import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Scope } from '../../schemas/scope.ts'
import { socketList, type SocketDetail, type SocketQuery, type SocketSummary } from '../../schemas/sockets.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Node } from '../cluster/node.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { NotFoundError } from '../errors.ts'
import type { EventLog } from '../events/log.ts'
import { pageOfItems } from '../foundation/lists/item-page.ts'
import type { PageOf } from '../foundation/paging.ts'
import { subjectOf, type Principal } from '../identity/access/principal.ts'
import { isDocumentChannel, mayReadDocuments, mayReadPattern, mayReadTopic } from '../identity/access/reading.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { closeCodes } from '../identity/auth/close-codes.ts'
import type { Counted } from './census.ts'
import type { Directory } from './directory.ts'
import { parse, toBody } from './scoped-body.ts'
import { channelCountOf, factsOf, nameOf, summaryOf, type SocketFacts, type SubscriptionFacts } from './socket-facts.ts'

/** Topics of one subscription whose positions are returned. */
const positionsMax = 100
const notThere = ''

export interface SocketsOptions extends Pick<Cluster, 'peers'> {
  directory: Directory
  node: Node
  db: Kysely<Database>
  log: Pick<EventLog, 'heads'>
}

/** A query as nodes send it to each other. */
interface NodeQuery extends SocketQuery { withDocuments: boolean }

/**
 * Creates the view of single connections of all nodes, for REST. Each node reports its own; the node that received the
 * request removes the facts that the caller may not see.
 */
export function createSockets ({ directory, peers, node, db, log }: SocketsOptions) {
  peers.on('sockets', (_from, body) => {
    const [scope, query] = parse(body)
    return JSON.stringify(listHere(scope, JSON.parse(query) as NodeQuery).items)
  })
  peers.on('socket', (_from, body) => {
    const [scope, socketId] = parse(body)
    const connection = directory.connection(scope, socketId)
    return connection === undefined ? notThere : JSON.stringify(factsHere(connection))
  })
  peers.on('close', (_from, body) => {
    const [scope, socketId] = parse(body)
    return closeHere(directory.connection(scope, socketId)) ? 'closed' : notThere
  })

  const optionsFor = (withDocuments: boolean) => ({ directory, nodeId: node.id, withDocuments })
  const factsHere = (connection: Connection): SocketFacts => factsOf(connection, optionsFor(true))

  function closeHere (connection: Connection | undefined): boolean {
    connection?.close(closeCodes.CLOSED_BY_OPERATOR)
    return connection !== undefined
  }

  function listHere (
    scope: Scope, { userId, transport, withDocuments, ...query }: NodeQuery
  ): PageOf<SocketSummary> {
    const options = optionsFor(withDocuments)
    const found: Connection[] = []
    for (const connection of directory.connections(scope)) {
      if (userId !== undefined && subjectOf(connection.principal) !== userId) continue
      if (transport === undefined || connection.transport.kind === transport) found.push(connection)
    }
    const { items, nextCursor } = pageOfItems(found, socketList, query, {
      valuesOf: connection => ({
        id: connection.id,
        userId: subjectOf(connection.principal),
        'principal.name': nameOf(connection.principal),
        address: connection.client.address,
        userAgent: connection.client.userAgent,
        connectedAt: connection.connectedAt,
        subscriptionCount: connection.subscriptions.length,
        channelCount: channelCountOf(connection, options),
        bufferedBytes: connection.transport.bufferedBytes
      }),
      idOf: ({ id }) => id
    })
    return { items: items.map(connection => summaryOf(connection, options)), nextCursor }
  }

  /** Finds a connection of any node. Throws NotFoundError `SOCKET_NOT_FOUND`. */
  async function find (scope: Scope, id: string): Promise<{ facts: SocketFacts, peer: string | undefined }> {
    const connection = directory.connection(scope, id)
    if (connection !== undefined) return { facts: factsHere(connection), peer: undefined }
    const { answers, missing } = await peers.ask(peers.nodes, 'socket', toBody(scope, id))
    for (const [peer, answer] of answers) {
      if (answer !== notThere) return { facts: JSON.parse(answer) as SocketFacts, peer }
    }
    throw notFound(id, missing)
  }

  async function withPositions (
    principal: Principal, scope: Scope, { spans, filter, ...rest }: SubscriptionFacts
  ): Promise<SocketDetail['subscriptions'][number]> {
    const names = Object.keys(spans).filter(topic => mayReadTopic(principal, scope, topic))
    const topics = names.sort().slice(0, positionsMax)
    const heads = await log.heads(topics.map(topic => ({ scope, topic })))
    return {
      ...rest,
      filter: mayReadPattern(principal, scope, rest.topic) ? filter : null,
      positions: topics.flatMap((topic, i) => {
        const [span, head] = [spans[topic], heads[i]]
        if (span === undefined) return []
        const position = span.until ?? span.after
        const lag = head?.epoch === span.epoch ? Math.max(0, head.head - position) : null
        return [{ topic, epoch: span.epoch, after: span.after, position, lag }]
      })
    }
  }

  return {
    /** Lists the connections of the scope. A node that does not answer in time is missing. */
    async list (principal: Principal, scope: Scope, query: SocketQuery): Promise<Counted<SocketSummary>> {
      const { limit = 100, cursor: _, ...merged } = query
      // One more than the page shows whether another page follows.
      const asked: NodeQuery = { ...query, limit: limit + 1, withDocuments: mayReadDocuments(principal, scope) }
      const here = listHere(scope, asked).items
      const { answers, missing } = await peers.ask(peers.nodes, 'sockets', toBody(scope, JSON.stringify(asked)))
      const elsewhere = [...answers.values()].flatMap(answer => JSON.parse(answer) as SocketSummary[])
      const page = pageOfItems([...here, ...elsewhere], socketList, { ...merged, limit }, {
        valuesOf: socket => ({ ...socket, 'principal.name': socket.principal.name }),
        idOf: ({ id }) => id
      })
      return { ...page, missing }
    },

    /** Throws NotFoundError `SOCKET_NOT_FOUND`. */
    async get (principal: Principal, scope: Scope, id: string): Promise<SocketDetail> {
      const { facts: { subscriptions, channels, ...summary } } = await find(scope, id)
      const visible = mayReadDocuments(principal, scope)
        ? channels
        : channels.filter(({ name }) => !isDocumentChannel(name))
      return {
        ...summary,
        channelCount: visible.length,
        subscriptions: await Promise.all(subscriptions.map(one => withPositions(principal, scope, one))),
        channels: visible
      }
    },

    /** Closes a connection on any node, with an entry in the audit log. Throws NotFoundError `SOCKET_NOT_FOUND`. */
    async close (scope: Scope, id: string, by: Origin): Promise<void> {
      const { facts: { subscriptions: _, channels: __, ...summary }, peer } = await find(scope, id)
      await db.transaction().execute(async trx => {
        await record(trx, by, { action: 'socket.closed', resourceId: id, place: scope, before: summary })
        const isClosed = peer === undefined
          ? closeHere(directory.connection(scope, id))
          : await closeAt(peer, scope, id)
        if (!isClosed) throw notFound(id)
      })
    }
  }

  async function closeAt (peer: string, scope: Scope, id: string): Promise<boolean> {
    const { answers } = await peers.ask([peer], 'close', toBody(scope, id))
    return (answers.get(peer) ?? notThere) !== notThere
  }
}
export type Sockets = ReturnType<typeof createSockets>

function notFound (id: string, missing = 0): NotFoundError {
  const hint = missing === 0 ? '' : `. ${missing} ${missing === 1 ? 'node' : 'nodes'} did not answer in time`
  return new NotFoundError('SOCKET_NOT_FOUND', `Socket not found: ${id}${hint}`)
}
