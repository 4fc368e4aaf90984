import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Bus, Listening } from '../cluster/bus.ts'
import { decodeEvents, encodeEvents } from './event-packet.ts'
import type { SharedRecords } from '../cluster/shared-records.ts'

/** Payload characters of one bus message. A batch of large events is split over several messages. */
const messageLengthMax = 256 * 1024

const prefix = 'following\n'

export interface EventRelayOptions {
  bus: Bus
  /** Shared records in which each node lists the topics that it follows. */
  records: SharedRecords
  log: { warn (fields: object, message: string): void }
}

/** Carries committed events between nodes. */
export interface EventRelay {
  /** Sends the events that this node has committed. Events of a topic are in offset order. */
  send (events: readonly LoggedEvent[]): void
  /** Calls the listener when the bus works again after an outage, during which messages may have been lost. */
  onRestored (listener: () => void): void
  /**
   * Receives a topic's events from other nodes, in the order in which the bus delivers them. Returns undefined if there
   * can be no other nodes.
   */
  follow (scope: Scope, topic: string, onEvents: (events: LoggedEvent[]) => void): Listening | undefined
  /** Receives the first event of each new log of the scope from other nodes, as `follow` does. */
  followBeginnings (scope: Scope, onEvents: (events: LoggedEvent[]) => void): Listening | undefined
}

/** The relay of a single process. */
export const localRelay: EventRelay = {
  send () {}, onRestored () {}, follow: () => undefined, followBeginnings: () => undefined
}

/**
 * Carries committed events between nodes, only to the nodes that follow their topic. Each topic has a bus channel. Each
 * scope has one for the first event of every log, through which patterns find new topics.
 */
export function createEventRelay ({ bus, records, log }: EventRelayOptions): EventRelay {
  /** Counts this node's followers of each topic; `others` has the other nodes that follow it. */
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

  /** Announces a topic to the other nodes. `live` resolves once they have the announcement and send its events. */
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
        // For example from a node of another version. The events are read from the log instead.
        log.warn({ err }, 'relay.message_unreadable')
      }
    })
  }

  return {
    send (events) {
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

    onRestored: listener => bus.onRestored(listener),

    follow: (scope, topic, onEvents) =>
      announce(
        keyOf(scope, topic),
        listen(topicChannel(scope, topic), message => onEvents(decodeEvents(scope, topic, message)))
      ),

    followBeginnings: (scope, onEvents) =>
      listen(scopeChannel(scope), message => {
        const end = message.indexOf('\n')
        onEvents(decodeEvents(scope, message.slice(0, end), message.slice(end + 1)))
      })
  }
}

const keyOf = (scope: Scope, topic: string) => `${prefix}${scopeKey(scope)}/${topic}`
const topicChannel = (scope: Scope, topic: string) => `events:${scopeKey(scope)}/${topic}`
const scopeChannel = (scope: Scope) => `topics:${scopeKey(scope)}`

/** Splits events into runs of one log each. Keeps the order of events within a log. */
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
