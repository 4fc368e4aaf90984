import type { EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Listeners } from '../delivery/listeners.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { PublicError } from '../errors.ts'
import type { EventDraft } from '../events/envelope.ts'
import { type Batch, type Intent, type Writer, idempotencyFor } from '../events/intent.ts'
import { messageTopic } from './channel-permissions.ts'
import { subjectOf } from '../identity/access/principal.ts'

export interface SocketEventsOptions {
  writer: Writer
  listeners: Listeners
  log: { warn (fields: object, message: string): void }
}

/** The recorded part of a message. `payload` is JSON text. */
export interface Recorded { key: string, payload: string }

/** The topics of socket events. The type of each event is the name of its topic. */
export const ownTopics = [
  'socket.message', 'socket.connect', 'socket.disconnect', 'presence.updated'
] as const satisfies readonly EventType[]
type OwnTopic = typeof ownTopics[number]

/** Creates the recording of socket events: writes them to the log if they have listeners. */
export function createSocketEvents ({ writer, listeners, log }: SocketEventsOptions) {
  /** Writes an event without waiting for it, because delivery does not depend on it. */
  function note (scope: Scope, topic: OwnTopic, recorded: () => Recorded, once?: string): void {
    if (!listeners.hasListeners(scope, topic)) return
    writer.submit({
      ...intentOf(scope, topic, recorded()),
      idempotency: idempotencyFor(once === undefined ? undefined : { owner: 'nodes', key: once }, topic, '', null)
    }).catch((err: unknown) => {
      log.warn({ ...(err instanceof PublicError ? { code: err.code } : { err }), topic }, 'socket_event.not_written')
    })
  }
  const noteConnection = (connection: Connection, topic: 'socket.connect' | 'socket.disconnect') =>
    note(connection.scope, topic, () => ({
      key: connection.id,
      payload: JSON.stringify({
        socketId: connection.id, userId: subjectOf(connection.principal), transport: connection.transport.kind
      })
    }))

  return {
    wantsMessages: (scope: Scope): boolean => listeners.hasListeners(scope, messageTopic),

    /** Resolves after the commit. Rejects if the topic's active schema or the writer refuses the message. */
    message: (scope: Scope, recorded: Recorded): Promise<unknown> =>
      writer.submit(intentOf(scope, messageTopic, recorded)),

    /** Returns the event for an intent that contains more than the message. */
    messageDraft: (batch: Batch, recorded: Recorded): EventDraft => draftOf(batch, messageTopic, recorded),

    connected: (connection: Connection): void => noteConnection(connection, 'socket.connect'),
    disconnected: (connection: Connection): void => noteConnection(connection, 'socket.disconnect'),

    /**
     * Records a presence change. `once` is a key under which several nodes report the same change; it is written once.
     */
    presence (scope: Scope, channel: string, body: string, once?: string): void {
      note(scope, 'presence.updated', () => ({ key: channel, payload: body }), once)
    }
  }
}
export type SocketEvents = ReturnType<typeof createSocketEvents>

const intentOf = (scope: Scope, topic: OwnTopic, recorded: Recorded): Intent<null> => ({
  scope,
  topics: [topic],
  bytes: recorded.payload.length,
  apply: batch => ({ events: [draftOf(batch, topic, recorded)] }),
  answer: () => null
})

const draftOf = (batch: Batch, topic: OwnTopic, { key, payload }: Recorded): EventDraft => ({
  topic, type: topic, source: 'socket', key, payload, schemaVersion: batch.check(topic, JSON.parse(payload), '')
})
