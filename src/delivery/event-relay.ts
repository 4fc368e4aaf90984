import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Bus, Listening } from '../cluster/bus.ts'
import { decodeEvents, encodeEvents } from './event-packet.ts'
import type { SharedRecords } from '../cluster/shared-records.ts'

/** Characters of the payloads of one message: a batch of large events goes in several. */
const messageLengthMax = 256 * 1024

const prefix = 'following\n'

export interface EventRelayOptions {
  bus: Bus
  /** Where nodes tell each other which topics they follow. */
  records: SharedRecords
  log: { warn (fields: object, message: string): void }
}

/**
 * Carries committed events between nodes, each to those that listen to its topic: a channel a topic, and one a scope
 * for the first event of every log, so that patterns hear of new topics. What no other node listens to is not sent.
 */
export function createEventRelay ({ bus, records, log }: EventRelayOptions) {
  /** How many follow a topic here, and the other nodes that do. */
  const own = new Map<string, number>()
  const others = new Map<string, Set<string>>()
  const forget = (node: string, key: string) => {
    const nodes = others.get(key)
    nodes?.delete(node)
    if (nodes?.size === 0) others.delete(key)
  }
  records.observe(prefix, {
    changed (node, key) {
      const nodes = others.get(key)
      if (nodes === undefined) others.set(key, new Set([node]))
      else nodes.add(node)
    },
    removed: forget,
    left (node, left) { for (const key of left.keys()) forget(node, key) }
  })
  const isFollowed = (scope: Scope, topic: string) => others.has(keyOf(scope, topic)) || records.incomplete.length > 0

  /** Its events come once the other nodes know of it. */
  function announce (key: string, listening: Listening): Listening {
    const count = own.get(key) ?? 0
    own.set(key, count + 1)
    if (count === 0) records.set(key, '')
    return {
      live: Promise.all([listening.live, records.spread()]).then(() => {}),
      end () {
        listening.end()
        const count = own.get(key) ?? 0
        if (count > 1) return own.set(key, count - 1)
        if (own.delete(key)) records.delete(key)
      }
    }
  }

  function listen (channel: string, onMessage: (message: string) => void): Listening {
    return bus.listen(channel, message => {
      try {
        onMessage(message)
      } catch (err) {
        // Of a node of another version, say: the log has what it meant.
        log.warn({ err }, 'relay.message_unreadable')
      }
    })
  }

  return {
    /** What this node has committed, in the order of offsets in each topic. */
    send (events: readonly LoggedEvent[]): void {
      for (const run of runsOf(events)) {
        const [first] = run
        if (first === undefined) continue
        const isFirst = first.offset === 1
        const isWanted = isFollowed(first.scope, first.topic)
        if (!isFirst && !isWanted) continue
        const message = encodeEvents(run)
        if (isWanted) bus.publish(topicChannel(first.scope, first.topic), message)
        if (isFirst) bus.publish(scopeChannel(first.scope), `${first.topic}\n${message}`)
      }
    },

    /** Calls back when messages may have been missed, and come again. */
    onRestored: (listener: () => void): void => bus.onRestored(listener),

    /** Events of the topic from other nodes, in whatever order the bus brings them. */
    follow: (scope: Scope, topic: string, onEvents: (events: LoggedEvent[]) => void): Listening =>
      announce(
        keyOf(scope, topic),
        listen(topicChannel(scope, topic), message => onEvents(decodeEvents(scope, topic, message)))
      ),

    /** The beginnings of the scope's logs, from other nodes. */
    followBeginnings: (scope: Scope, onEvents: (events: LoggedEvent[]) => void): Listening =>
      listen(scopeChannel(scope), message => {
        const end = message.indexOf('\n')
        onEvents(decodeEvents(scope, message.slice(0, end), message.slice(end + 1)))
      })
  }
}
export type EventRelay = ReturnType<typeof createEventRelay>

const keyOf = (scope: Scope, topic: string) => `${prefix}${scopeKey(scope)}/${topic}`
const topicChannel = (scope: Scope, topic: string) => `events:${scopeKey(scope)}/${topic}`
const scopeChannel = (scope: Scope) => `topics:${scopeKey(scope)}`

/** Events of one log each, in the order in which they came. */
function runsOf (events: readonly LoggedEvent[]): Iterable<LoggedEvent[]> {
  const runs: LoggedEvent[][] = []
  const open = new Map<string, { run: LoggedEvent[], length: number }>()
  for (const event of events) {
    const key = `${scopeKey(event.scope)}/${event.topic}`
    let last = open.get(key)
    if (last === undefined || last.length > messageLengthMax) {
      last = { run: [], length: 0 }
      open.set(key, last)
      runs.push(last.run)
    }
    last.run.push(event)
    last.length += event.payload.length + (event.diff?.length ?? 0)
  }
  return runs
}
