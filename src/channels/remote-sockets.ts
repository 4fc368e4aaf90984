import { LRUCache } from 'lru-cache'
import type { Cluster } from '../cluster/cluster.ts'
import type { Scope } from '../../schemas/scope.ts'
import { SharedMessage } from '../delivery/sockets/transport.ts'
import type { Directory } from './directory.ts'
import type { MessageQueue } from './message-queue.ts'
import { parse, toBody } from './scoped-body.ts'

/** Sockets whose node is cached. */
const locatedMax = 10_000
const notThere = 'none'

/** A count, and the number of nodes that did not report theirs in time. */
export interface Reached { count: number, missing: number }

export interface RemoteSocketsOptions extends Pick<Cluster, 'peers' | 'records'> {
  directory: Directory
  queue: MessageQueue
}

/**
 * Sends messages to the sockets of other nodes, and counts those sockets. A message goes to the nodes with members of
 * the channel. Each replies with the number of its sockets that accepted it. Messages of one node arrive in order.
 */
export function createRemoteSockets ({ peers, records, directory, queue }: RemoteSocketsOptions) {
  const located = new LRUCache<string, string>({ max: locatedMax })

  peers.on('message', (_from, body) => {
    const [scope, name, text] = parse(body)
    const channel = directory.channel(scope, name)
    return String(
      channel === undefined ? 0 : queue.sendToMembers(channel.members.values(), new SharedMessage('message', text))
    )
  })
  peers.on('direct', (_from, body) => {
    const [scope, socketId, text] = parse(body)
    const connection = directory.connection(scope, socketId)
    return connection === undefined ? notThere : queue.send(connection, new SharedMessage('message', text)) ? '1' : '0'
  })
  peers.on('locate', (_from, body) => {
    const [scope, socketId] = parse(body)
    return directory.connection(scope, socketId) === undefined ? notThere : ''
  })
  peers.on('reach', (_from, body) => {
    const [scope, name] = parse(body)
    return String(directory.channel(scope, name)?.connectedHere ?? 0)
  })
  peers.on('connections', (_from, body) => String(directory.connectionCount(parse(body)[0])))

  async function sum (nodes: Iterable<string>, kind: string, body: string): Promise<Reached> {
    const { answers, missing } = await peers.ask(nodes, kind, body)
    let count = 0
    for (const answer of answers.values()) count += Number(answer)
    return { count, missing }
  }

  /** Returns the nodes that have members of the channel, or may have. */
  function nodesOf (scope: Scope, name: string): string[] {
    return [...new Set([...directory.channel(scope, name)?.nodes ?? [], ...records.incomplete])]
  }

  return {
    /** Sends a message at once. Returns undefined if no other node has members of the channel. */
    toChannel (scope: Scope, name: string, text: string): Promise<Reached> | undefined {
      const nodes = nodesOf(scope, name)
      return nodes.length === 0 ? undefined : sum(nodes, 'message', toBody(scope, name, text))
    },

    /** Returns how many members on other nodes a message to the channel would reach. */
    reach (scope: Scope, name: string): Promise<Reached> {
      return sum(nodesOf(scope, name), 'reach', toBody(scope, name))
    },

    connections (scope: Scope): Promise<Reached> {
      return sum(peers.nodes, 'connections', toBody(scope))
    },

    /** Returns the node of a socket of the scope; undefined if it has none, or its node does not answer. */
    async locate (scope: Scope, socketId: string): Promise<string | undefined> {
      // The id comes from a client and may be any text.
      if (socketId.includes('\n')) return undefined
      const key = toBody(scope, socketId)
      const known = located.get(key)
      if (known !== undefined && peers.has(known)) return known
      const { answers } = await peers.ask(peers.nodes, 'locate', key)
      const [node] = [...answers].find(([, answer]) => answer !== notThere) ?? []
      if (node !== undefined) located.set(key, node)
      return node
    },

    /** Sends a message at once. Resolves to undefined if the socket has gone. */
    async direct (node: string, scope: Scope, socketId: string, text: string): Promise<number | undefined> {
      const { answers } = await peers.ask([node], 'direct', toBody(scope, socketId, text))
      const answer = answers.get(node)
      if (answer !== notThere) return Number(answer ?? 0)
      located.delete(toBody(scope, socketId))
      return undefined
    },

    /** Number of nodes whose members are not all known. */
    get incomplete () { return records.incomplete.length }
  }
}
export type RemoteSockets = ReturnType<typeof createRemoteSockets>
