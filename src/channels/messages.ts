import { randomUUID } from 'node:crypto'
import type { DirectRequest, PublishRequest, Sender } from '../../schemas/channel-requests.ts'
import type { Broadcast, BroadcastAnswer } from '../../schemas/channels.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { type Principal, subjectOf } from '../identity/access/principal.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { SharedMessage } from '../delivery/sockets/transport.ts'
import { NotFoundError } from '../errors.ts'
import { type Writer, idempotencyFor, type OwnKey } from '../events/intent.ts'
import { encodeJson } from '../foundation/json.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { messageTopic } from './channel-permissions.ts'
import type { Directory } from './directory.ts'
import type { MessageQueue } from './message-queue.ts'
import type { Reached, RemoteSockets } from './remote-sockets.ts'
import type { Recorded, SocketEvents } from './socket-events.ts'

export interface MessagesOptions {
  directory: Directory
  queue: MessageQueue
  events: SocketEvents
  writer: Writer
  metrics: Metrics
  /** The sockets of other nodes. */
  remote: RemoteSockets
}

/** The number of sockets that accepted a message; a promise only if other nodes are involved. */
type Taken = Reached | Promise<Reached>

/** A message, with its log entry and the function that delivers it. */
interface Dispatch {
  scope: Scope
  recorded: Recorded
  /** Delivers the message at once, on this node and to others. */
  deliver: () => Taken
  /** A look-up that must complete before the message is written or delivered. */
  before?: Promise<unknown>
}

/**
 * Creates the sending of messages to channels and to single sockets. Messages touch the database only if
 * `socket.message` has a listener in the scope. Such a message is delivered once it is committed, and not at all if it
 * is refused. Messages of one sender to one channel or socket keep their order, even if only some of them go through
 * the log.
 */
export function createMessages ({ directory, queue, events, writer, metrics, remote }: MessagesOptions) {
  /**
   * By sender and target: settles when everything sent so far has been delivered or refused. Has an entry only while a
   * message is on its way through the log.
   */
  const tails = new Map<string, Promise<void>>()

  /**
   * Delivers in the same turn if neither the log nor another node is involved. Rejects if the log refuses the message.
   */
  function dispatch (lane: string, { scope, recorded, deliver, before }: Dispatch): Taken {
    const previous = tails.get(lane)
    const isWanted = events.wantsMessages(scope)
    if (!isWanted && previous === undefined && before === undefined) return deliver()
    const written = !isWanted
      ? before
      : before === undefined
        ? events.message(scope, recorded)
        : before.then(() => events.message(scope, recorded))
    // The next message waits until this one is handed over, not until its receivers are counted.
    const handedOver = Promise.all([previous, written]).then(() => ({ taken: deliver() }))
    const tail = Promise.allSettled([previous, handedOver]).then(() => {
      if (tails.get(lane) === tail) tails.delete(lane)
    })
    tails.set(lane, tail)
    return handedOver.then(({ taken }) => taken)
  }

  function toChannel (
    scope: Scope, { channel: name, event, data }: PublishRequest, from: Sender, kind: 'publish' | 'broadcast',
    but?: Connection
  ): Dispatch {
    const fields = `{"channel":${JSON.stringify(name)},${messageJson(event, data, from)}`
    return {
      scope,
      recorded: { key: name, payload: `${fields}}` },
      deliver () {
        metrics.channelMessages.inc({ kind })
        const channel = directory.channel(scope, name)
        const message = toMessage(fields)
        const elsewhere = remote.toChannel(scope, name, message.body)
        const count = channel === undefined ? 0 : queue.sendToMembers(channel.members.values(), message, but)
        return elsewhere === undefined
          ? { count, missing: 0 }
          : elsewhere.then(reached => ({ count: count + reached.count, missing: reached.missing }))
      }
    }
  }

  return {
    /** Sends to every member but the sender, who need not be a member. Returns the number of receivers. */
    publish (connection: Connection, request: PublishRequest): number | Promise<number> {
      return countOf(
        dispatch(
          `${connection.id} ${request.channel}`,
          toChannel(connection.scope, request, senderOf(connection), 'publish', connection)
        )
      )
    },

    /**
     * Sends to one socket of the scope. Returns 0 if it does not accept the message. Throws NotFoundError
     * `SOCKET_NOT_FOUND`.
     */
    direct (connection: Connection, { socketId, event, data }: DirectRequest): number | Promise<number> {
      const { scope } = connection
      const fields = messageJson(event, data, senderOf(connection))
      const target = directory.connection(scope, socketId)
      const way = target === undefined
        ? wayElsewhere(scope, socketId)
        : { send: (message: SharedMessage): Taken => ({ count: queue.send(target, message) ? 1 : 0, missing: 0 }) }
      return countOf(dispatch(`${connection.id} >${socketId}`, {
        ...way,
        scope,
        recorded: { key: socketId, payload: `{"socketId":${JSON.stringify(socketId)},${fields}}` },
        deliver () {
          metrics.channelMessages.inc({ kind: 'direct' })
          return way.send(toMessage(`{${fields}`))
        }
      }))
    },

    /**
     * Sends to every member, on behalf of a REST client. With an idempotency key, a retry has no second effect and gets
     * the first answer. `missing` counts nodes that did not answer in time.
     */
    async broadcast (
      scope: Scope, principal: Principal, request: Broadcast,
      { idempotencyKey }: { idempotencyKey?: OwnKey | undefined } = {}
    ): Promise<BroadcastAnswer & { missing: number }> {
      const message = toChannel(scope, request, { socketId: null, userId: subjectOf(principal) }, 'broadcast')
      const idempotency = idempotencyFor(idempotencyKey, 'socket.broadcast', request.channel, request)
      if (idempotency === undefined) {
        const { count, missing } = await dispatch(`${scopeKey(scope)} ${principal.id} ${request.channel}`, message)
        return { delivered: count, missing }
      }
      // The answer is stored before the delivery. A retry finds the answer of another attempt and does not deliver
      // again.
      const nonce = randomUUID()
      const isWanted = events.wantsMessages(scope)
      const elsewhere = await remote.reach(scope, request.channel)
      const stored = await writer.submit({
        scope,
        topics: isWanted ? [messageTopic] : [],
        bytes: message.recorded.payload.length,
        idempotency,
        apply: batch => ({ events: isWanted ? [events.messageDraft(batch, message.recorded)] : [] }),
        answer: () => ({
          nonce, delivered: elsewhere.count + (directory.channel(scope, request.channel)?.connectedHere ?? 0),
          missing: elsewhere.missing
        })
      })
      if (stored.nonce === nonce) void message.deliver()
      return { delivered: stored.delivered, missing: stored.missing }
    }
  }

  /** Prepares sending to a socket on another node. Throws or rejects with NotFoundError `SOCKET_NOT_FOUND`. */
  function wayElsewhere (
    scope: Scope, socketId: string
  ): { before: Promise<unknown>, send: (message: SharedMessage) => Taken } {
    let node = ''
    const before = remote.locate(scope, socketId).then(found => {
      if (found === undefined) throw notFound(socketId)
      node = found
    })
    const send = async ({ body }: SharedMessage): Promise<Reached> => {
      const count = await remote.direct(node, scope, socketId, body)
      if (count === undefined) throw notFound(socketId)
      return { count, missing: 0 }
    }
    return { before, send }
  }
}
export type Messages = ReturnType<typeof createMessages>

const countOf = (taken: Taken): number | Promise<number> =>
  taken instanceof Promise ? taken.then(({ count }) => count) : taken.count

const notFound = (socketId: string) => new NotFoundError('SOCKET_NOT_FOUND', `Socket not found: ${socketId}`)

const senderOf = (connection: Connection): Sender => ({
  socketId: connection.id, userId: subjectOf(connection.principal)
})

/**
 * Returns the members of a JSON object. Throws ValidationError for data that is too large, too deep or not storable.
 */
const messageJson = (event: string, data: unknown, from: Sender) =>
  `"event":${JSON.stringify(event)},"data":${encodeJson(data, '/data')},"from":${JSON.stringify(from)}`

const toMessage = (fields: string) => new SharedMessage('message', `${fields},"timestamp":${Date.now()}}`)
