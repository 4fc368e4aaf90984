import { stateBytesMax } from '../../schemas/channels.ts'
import { socketRequest, type SocketRequests } from '../delivery/sockets/protocol.ts'
import { encodeJson, payloadLimits } from '../foundation/json.ts'
import type { State } from './channel.ts'
import { mayReadChannel } from '../identity/access/reading.ts'
import { authorizeListening, authorizeMembership, authorizeSending } from './channel-permissions.ts'
import type { Messages } from './messages.ts'
import type { Presence } from './presence.ts'

/** Creates the requests `join`, `leave`, `presence`, `publish` and `direct`. */
export function channelRequests (
  { presence, messages }: { presence: Presence, messages: Messages }
): SocketRequests<'join' | 'leave' | 'presence' | 'publish' | 'direct'> {
  return {
    join: socketRequest('join', (connection, { channel, state, previousSocketId }, respond) => {
      authorizeMembership(connection.principal, connection.scope, channel)
      presence.join(
        connection, channel, { state: state === undefined ? undefined : toState(state), previousSocketId }, respond
      )
    }),
    leave: socketRequest('leave', (connection, { channel }, respond) => {
      authorizeListening(connection.principal, connection.scope)
      presence.leave(connection, channel, respond)
    }),
    presence: socketRequest('presence', (connection, { channel, state }, respond) => {
      authorizeMembership(connection.principal, connection.scope, channel)
      presence.update(connection, channel, toState(state), respond)
    }),
    publish: socketRequest('publish', (connection, request, respond) => {
      authorizeSending(connection.principal, connection.scope)
      // The number of members of a document's channel reveals how many clients view the document.
      const mayKnow = mayReadChannel(connection.principal, connection.scope, request.channel)
      return answer(messages.publish(connection, request), mayKnow ? respond : () => respond({ delivered: null }))
    }),
    direct: socketRequest('direct', (connection, request, respond) => {
      authorizeSending(connection.principal, connection.scope)
      return answer(messages.direct(connection, request), respond)
    })
  }
}

/** Responds in the same turn if the number is already there. */
function answer (
  delivered: number | Promise<number>, respond: (answer: { delivered: number }) => void
): Promise<void> | void {
  if (delivered instanceof Promise) return delivered.then(delivered => respond({ delivered }))
  respond({ delivered })
}

const stateLimits = { ...payloadLimits, bytesMax: stateBytesMax }

function toState (value: unknown): State {
  return { value, text: encodeJson(value, '/state', stateLimits) }
}
