import { LRUCache } from 'lru-cache'
import type { Peers } from '../cluster/peers.ts'
import type { SharedRecords } from '../cluster/shared-records.ts'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import { SharedMessage } from '../delivery/sockets/transport.ts'
import type { Directory } from './directory.ts'
import type { Outbox } from './outbox.ts'

/** Sockets of which it is remembered on which node they are. */
const locatedMax = 10_000
const notThere = 'none'

/** How many, and how many nodes did not say it in time. */
export interface Reached { count: number, missing: number }

export interface RemoteSocketsOptions {
  peers: Peers
  records: SharedRecords
  directory: Directory
  outbox: Outbox
}

/**
 * The sockets of other nodes: messages to them, and how many they are. A message goes to the nodes where somebody is in
 * the channel, by the way of each node, so that what one node sends arrives in its order; each answers how many of its
 * sockets have taken it.
 */
export function createRemoteSockets ({ peers, records, directory, outbox }: RemoteSocketsOptions) {
  const located = new LRUCache<string, string>({ max: locatedMax })

  peers.on('message', (_from, body) => {
    const [scope, name, text] = parse(body)
    const channel = directory.channel(scope, name)
    return String(
      channel === undefined ? 0 : outbox.sendToMembers(channel.members.values(), new SharedMessage('message', text))
    )
  })
  peers.on('direct', (_from, body) => {
    const [scope, socketId, text] = parse(body)
    const connection = directory.connection(scope, socketId)
    return connection === undefined ? notThere : outbox.send(connection, new SharedMessage('message', text)) ? '1' : '0'
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

  /** Where somebody is in the channel, or may be. */
  function nodesOf (scope: Scope, name: string): string[] {
    return [...new Set([...directory.channel(scope, name)?.nodes ?? [], ...records.incomplete])]
  }

  return {
    /** Hands a message over at once; undefined where nobody elsewhere is in the channel. */
    toChannel (scope: Scope, name: string, text: string): Promise<Reached> | undefined {
      const nodes = nodesOf(scope, name)
      return nodes.length === 0 ? undefined : sum(nodes, 'message', toBody(scope, name, text))
    },

    /** How many elsewhere would get a message to the channel. */
    reach (scope: Scope, name: string): Promise<Reached> {
      return sum(nodesOf(scope, name), 'reach', toBody(scope, name))
    },

    connections (scope: Scope): Promise<Reached> {
      return sum(peers.nodes, 'connections', toBody(scope))
    },

    /** The node of a socket of the scope; undefined where there is none, or its node does not answer. */
    async locate (scope: Scope, socketId: string): Promise<string | undefined> {
      // What a client names may be anything.
      if (socketId.includes('\n')) return undefined
      const key = toBody(scope, socketId)
      const known = located.get(key)
      if (known !== undefined && peers.has(known)) return known
      const { answers } = await peers.ask(peers.nodes, 'locate', key)
      const [node] = [...answers].find(([, answer]) => answer !== notThere) ?? []
      if (node !== undefined) located.set(key, node)
      return node
    },

    /** Hands a message over at once. Answers undefined when the socket is gone. */
    async direct (node: string, scope: Scope, socketId: string, text: string): Promise<number | undefined> {
      const { answers } = await peers.ask([node], 'direct', toBody(scope, socketId, text))
      const answer = answers.get(node)
      if (answer !== notThere) return Number(answer ?? 0)
      located.delete(toBody(scope, socketId))
      return undefined
    },

    /** Nodes of whose members not everything is known. */
    get incomplete () { return records.incomplete.length }
  }
}
export type RemoteSockets = ReturnType<typeof createRemoteSockets>

/** Neither a scope's key nor a name can have a line break in it. */
const toBody = (scope: Scope, ...rest: string[]) => [scopeKey(scope), ...rest].join('\n')

function parse (body: string): [scope: Scope, name: string, text: string] {
  const [key = '', name = ''] = body.split('\n', 2)
  const [applicationId = '', environment] = key.split('/')
  return [{ applicationId, environment: environment as Environment }, name, body.slice(key.length + name.length + 2)]
}
