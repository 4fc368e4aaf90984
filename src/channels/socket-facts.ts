import type { SocketDetail, SocketSubscription, SocketSummary } from '../../schemas/sockets.ts'
import { conditionsOf } from '../delivery/matching/filter.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import type { ClientSubscription, Span } from '../delivery/subscriber.ts'
import { expiryOf, isApiKey, subjectOf, type Principal } from '../identity/access/principal.ts'
import { isDocumentChannel } from '../identity/access/reading.ts'
import type { Directory } from './directory.ts'

/** A subscription as its node reports it, for any caller. */
export interface SubscriptionFacts extends Omit<SocketSubscription, 'positions'> { spans: Record<string, Span> }

/** A connection as its node reports it, for any caller. */
export interface SocketFacts extends SocketSummary {
  subscriptions: SubscriptionFacts[]
  channels: SocketDetail['channels']
}

export interface SocketFactsOptions {
  directory: Directory
  nodeId: string
  /** Whether the channels of documents are included. */
  withDocuments: boolean
}

export function summaryOf (connection: Connection, options: SocketFactsOptions): SocketSummary {
  const { id, transport, principal, client, connectedAt, subscriptions } = connection
  return {
    id,
    transport: transport.kind,
    principal: { kind: kindOf(principal), id: principal.id, name: nameOf(principal) },
    userId: subjectOf(principal),
    address: client.address,
    userAgent: client.userAgent,
    nodeId: options.nodeId,
    connectedAt,
    expiresAt: expiryOf(principal),
    subscriptionCount: subscriptions.length,
    channelCount: channelCountOf(connection, options),
    bufferedBytes: transport.bufferedBytes
  }
}

export const factsOf = (connection: Connection, options: SocketFactsOptions): SocketFacts => ({
  ...summaryOf(connection, options),
  subscriptions: connection.subscriptions.map(toFacts),
  channels: [...options.directory.joined(connection)]
    .filter(({ name }) => options.withDocuments || !isDocumentChannel(name))
    .map(channel => ({
      name: channel.name, joinedAt: channel.present(connection)?.joinedAt ?? connection.connectedAt
    }))
})

export function channelCountOf (
  connection: Connection, { directory, withDocuments }: Omit<SocketFactsOptions, 'nodeId'>
): number {
  const joined = directory.joined(connection)
  if (withDocuments || joined.size === 0) return joined.size
  return [...joined].filter(({ name }) => !isDocumentChannel(name)).length
}

function toFacts (subscription: ClientSubscription): SubscriptionFacts {
  const { id, topic, startedAt, returnMode, filter } = subscription
  const spans = subscription.spans()
  return {
    id,
    topic,
    startedAt,
    returnMode,
    hasFilter: filter !== undefined,
    filter: filter === undefined ? null : conditionsOf(filter),
    topicCount: Object.keys(spans).length,
    spans
  }
}

const kindOf = (principal: Principal): SocketSummary['principal']['kind'] =>
  principal.kind === 'session' ? 'session' : isApiKey(principal) ? 'api-key' : 'token'

export const nameOf = (principal: Principal): string | null =>
  principal.kind === 'session' ? principal.user.name : isApiKey(principal) ? principal.name : null
