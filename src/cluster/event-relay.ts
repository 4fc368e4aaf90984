import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Bus, Listening } from './bus.ts'
import { decodeEvents, encodeEvents } from './event-packet.ts'

/** Characters of the payloads of one message: a batch of large events goes in several. */
const messageLengthMax = 256 * 1024

export interface EventRelayOptions {
  bus: Bus
  log: { warn (fields: object, message: string): void }
}

/**
 * Carries committed events between nodes, each to those that listen to its topic: a channel a topic, and one a scope for the first
 * event of every log, so that patterns hear of new topics.
 */
export function createEventRelay ({ bus, log }: EventRelayOptions) {
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
        const message = encodeEvents(run)
        bus.publish(topicChannel(first.scope, first.topic), message)
        if (first.offset === 1) bus.publish(scopeChannel(first.scope), `${first.topic}\n${message}`)
      }
    },

    /** Calls back when messages may have been missed, and come again. */
    onRestored: (listener: () => void): void => bus.onRestored(listener),

    /** Events of the topic from other nodes, in whatever order the bus brings them. */
    follow: (scope: Scope, topic: string, onEvents: (events: LoggedEvent[]) => void): Listening =>
      listen(topicChannel(scope, topic), message => onEvents(decodeEvents(scope, topic, message))),

    /** The beginnings of the scope's logs, from other nodes. */
    followBeginnings: (scope: Scope, onEvents: (events: LoggedEvent[]) => void): Listening =>
      listen(scopeChannel(scope), message => {
        const end = message.indexOf('\n')
        onEvents(decodeEvents(scope, message.slice(0, end), message.slice(end + 1)))
      })
  }
}
export type EventRelay = ReturnType<typeof createEventRelay>

const topicChannel = (scope: Scope, topic: string) => `realtime:events:${scopeKey(scope)}/${topic}`
const scopeChannel = (scope: Scope) => `realtime:topics:${scopeKey(scope)}`

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
