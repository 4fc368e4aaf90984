import { randomUUID } from 'node:crypto'
import type { Broadcast, BroadcastAnswer, DirectRequest, PublishRequest, Sender } from '../../schemas/channels.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Principal } from '../auth/principal.ts'
import type { Connection } from '../delivery/connection.ts'
import { SharedMessage } from '../delivery/shared-message.ts'
import { NotFoundError } from '../errors.ts'
import type { Writer } from '../events/intent.ts'
import { idempotencyFor } from '../idempotency.ts'
import { encodeJson } from '../json.ts'
import type { Metrics } from '../metrics.ts'
import { messageTopic } from './channel-permissions.ts'
import type { Directory } from './directory.ts'
import { subjectOf } from './identity.ts'
import type { Outbox } from './outbox.ts'
import type { Recorded, SocketEvents } from './socket-events.ts'

export interface MessagesOptions {
  directory: Directory
  outbox: Outbox
  events: SocketEvents
  writer: Writer
  metrics: Metrics
}

/** What goes into the log where somebody listens, and the way to those it is for. */
interface Dispatch {
  scope: Scope
  recorded: Recorded
  /** Answers how many sockets take it. */
  deliver: () => number
}

/**
 * Messages to channels and to single sockets. They touch no database, unless somebody in the scope listens to
 * `socket.message`: then one is delivered once it is in the log, and not at all when it is refused there.
 * What one sender sends to one channel or socket arrives in its order, also where some of it goes through the log.
 */
export function createMessages ({ directory, outbox, events, writer, metrics }: MessagesOptions) {
  /** By sender and target: done when everything sent so far is delivered or refused. Only there while something is on its way through the log. */
  const tails = new Map<string, Promise<void>>()

  /** Answers at once when nobody listens. Rejects with the refusal of the log. */
  function dispatch (lane: string, { scope, recorded, deliver }: Dispatch): number | Promise<number> {
    const previous = tails.get(lane)
    const isWanted = events.wantsMessages(scope)
    if (!isWanted && previous === undefined) return deliver()
    const written = isWanted ? events.message(scope, recorded) : undefined
    const delivered = Promise.all([previous, written]).then(deliver)
    const tail = Promise.allSettled([previous, delivered]).then(() => {
      if (tails.get(lane) === tail) tails.delete(lane)
    })
    tails.set(lane, tail)
    return delivered
  }

  function toChannel (scope: Scope, { channel: name, event, data }: PublishRequest, from: Sender, kind: string, but?: Connection): Dispatch {
    const fields = `{"channel":${JSON.stringify(name)},${messageJson(event, data, from)}`
    return {
      scope,
      recorded: { key: name, payload: `${fields}}` },
      deliver () {
        metrics.channelMessages.inc({ kind })
        const channel = directory.channel(scope, name)
        return channel === undefined ? 0 : outbox.sendToMembers(channel.members.values(), toMessage(fields), but)
      }
    }
  }

  return {
    /** To every member but the sender, who need not be one. Answers to how many. */
    publish (connection: Connection, request: PublishRequest): number | Promise<number> {
      return dispatch(`${connection.id} ${request.channel}`, toChannel(connection.scope, request, senderOf(connection), 'publish', connection))
    },

    /** To one socket of the scope. Answers 0 when it does not take it. Throws NotFoundError `SOCKET_NOT_FOUND`. */
    direct (connection: Connection, { socketId, event, data }: DirectRequest): number | Promise<number> {
      const { scope } = connection
      const fields = messageJson(event, data, senderOf(connection))
      const target = directory.connection(scope, socketId)
      if (target === undefined) throw new NotFoundError('SOCKET_NOT_FOUND', `Socket not found: ${socketId}`)
      return dispatch(`${connection.id} >${socketId}`, {
        scope,
        recorded: { key: socketId, payload: `{"socketId":${JSON.stringify(socketId)},${fields}}` },
        deliver () {
          metrics.channelMessages.inc({ kind: 'direct' })
          return outbox.send(target, toMessage(`{${fields}`)) ? 1 : 0
        }
      })
    },

    /** To every member, from outside of the sockets. With a key, a retry has no second effect and gets the first answer. */
    async broadcast (scope: Scope, principal: Principal, request: Broadcast, { idempotencyKey }: { idempotencyKey?: string | undefined } = {}): Promise<BroadcastAnswer> {
      const message = toChannel(scope, request, { socketId: null, userId: subjectOf(principal) }, 'broadcast')
      const idempotency = idempotencyFor(idempotencyKey, 'socket.broadcast', request.channel, request)
      if (idempotency === undefined) return { delivered: await dispatch(`${scopeKey(scope)} ${principal.id} ${request.channel}`, message) }
      // The answer is stored first: whoever finds another's there does not deliver again.
      const nonce = randomUUID()
      const isWanted = events.wantsMessages(scope)
      const stored = await writer.submit({
        scope,
        topics: isWanted ? [messageTopic] : [],
        bytes: message.recorded.payload.length,
        idempotency,
        apply: batch => ({ events: isWanted ? [events.messageDraft(batch, message.recorded)] : [] }),
        answer: () => ({ nonce, delivered: reachOf(scope, request.channel) })
      })
      if (stored.nonce === nonce) message.deliver()
      return { delivered: stored.delivered }
    }
  }

  function reachOf (scope: Scope, name: string): number {
    let connected = 0
    for (const { connection } of directory.channel(scope, name)?.members.values() ?? []) if (connection?.hasRoom === true) connected++
    return connected
  }
}
export type Messages = ReturnType<typeof createMessages>

const senderOf = (connection: Connection): Sender => ({ socketId: connection.id, userId: subjectOf(connection.principal) })

/** Members of a JSON object. Throws ValidationError for data that is too large, too deep or not storable. */
const messageJson = (event: string, data: unknown, from: Sender) =>
  `"event":${JSON.stringify(event)},"data":${encodeJson(data, '/data')},"from":${JSON.stringify(from)}`

const toMessage = (fields: string) => new SharedMessage('message', `${fields},"timestamp":${Date.now()}}`)
