import { Authenticated } from '../../../schemas/realtime.ts'
import {
  acknowledgementOf, ErrorFrame, EventFrame, frameOf, PingFrame, PongFrame, Refusal
} from '../../../schemas/socket-frames.ts'
import { Connected, ConnectError, HandshakeAuth } from '../../../schemas/socket-messages.ts'
import { serverMessages, socketRequests } from '../../../schemas/socket-protocol.ts'
import { version } from '../../foundation/version.ts'
import { closeCodes, closeDescriptions } from '../../identity/auth/close-codes.ts'
import { channel, type Exchange } from './channel.ts'
import { SchemaComponents } from './schema-components.ts'

const requests = Object.entries(socketRequests)
const { closing: _, event, ...otherMessages } = serverMessages

/** Requests and messages over Socket.IO. The names of messages are the names of events. */
const socketIoExchanges: Exchange[] = [
  {
    key: 'connect',
    sender: 'client',
    name: 'connect',
    payload: HandshakeAuth,
    replies: [
      { key: 'connected', name: 'connect', payload: Connected },
      { key: 'connectError', name: 'connect_error', payload: ConnectError }
    ]
  },
  ...requests.map(([name, { fields, answer, frame }]): Exchange => ({
    key: `${name}Request`,
    sender: 'client',
    name,
    payload: fields,
    replies: [
      { key: frame, name, payload: acknowledgementOf(answer) }, { key: 'refusal', name: 'refusal', payload: Refusal }
    ]
  })),
  ...Object.entries(serverMessages).map(([name, payload]): Exchange => ({
    key: name, sender: 'server', name, payload
  })),
  {
    key: 'error',
    sender: 'server',
    name: 'error',
    payload: Refusal,
    summary: 'The refusal of a request that was sent without an acknowledgement.'
  }
]

const error = { key: 'error', name: 'error', payload: ErrorFrame }

/** Requests and messages over `/ws`. The names of messages are the types of frames. */
const webSocketExchanges: Exchange[] = [
  {
    key: 'authenticate',
    sender: 'client',
    name: 'auth',
    payload: frameOf('auth', socketRequests.auth.fields, { hasId: true }),
    summary: 'The first frame, unless the upgrade has a credential. Send it within 5 s.',
    replies: [
      { key: 'opened', name: 'authenticated', payload: frameOf('authenticated', Authenticated, { hasId: true }) }, error
    ]
  },
  ...requests.map(([name, { fields, answer, frame }]): Exchange => ({
    key: `${name}Request`,
    sender: 'client',
    name,
    payload: frameOf(name, fields, { hasId: true }),
    replies: [{ key: frame, name: frame, payload: frameOf(frame, answer, { hasId: true }) }, error]
  })),
  {
    key: 'ping', sender: 'client', name: 'ping', payload: PingFrame,
    replies: [{ key: 'pong', name: 'pong', payload: PongFrame }, error]
  },
  {
    key: 'opened',
    sender: 'server',
    name: 'authenticated',
    payload: frameOf('authenticated', Authenticated, { hasId: true }),
    summary: 'Sent without a request if the upgrade has a credential.'
  },
  { key: 'event', sender: 'server', name: 'event', payload: EventFrame },
  ...Object.entries(otherMessages).map(([name, payload]): Exchange => ({
    key: name, sender: 'server', name, payload: frameOf(name, payload, { hasId: false })
  })),
  { ...error, sender: 'server', summary: 'The refusal of a frame that is no request, or of a bad credential.' }
]

/** Close codes of the WebSocket protocol itself (RFC 6455 §7.4.1). */
const webSocketCloseCodes = [
  { code: 1002, description: 'The client sent a close frame with an invalid code, or an invalid frame.' },
  { code: 1007, description: 'The client sent a close frame whose reason is not UTF-8.' },
  { code: 1008, description: 'The client sent a message of more than 256 fragments.' },
  { code: 1009, description: 'The client sent a message that is too long.' }
]

const securitySchemes = {
  token: {
    type: 'http', scheme: 'bearer', bearerFormat: 'JWT',
    description: 'A token from `POST /auth/token`, or an API key, in the header `Authorization`.'
  },
  session: {
    type: 'httpApiKey', in: 'header', name: 'X-Session-Token',
    description: 'The session token from a login. Name the application as well.'
  },
  query: {
    type: 'httpApiKey', in: 'query', name: 'token',
    description: 'A token, an API key or a session token in the URL of the upgrade.'
  },
  message: {
    type: 'apiKey', in: 'password',
    description:
      'A token, an API key or a session token in the first message: the field `token` of the `auth` of a Socket.IO ' +
        'handshake, or of the first frame over `/ws`.'
  }
}

const securedBy = (...names: (keyof typeof securitySchemes)[]) =>
  names.map(name => ({ $ref: `#/components/securitySchemes/${name}` }))

const serverAddress = {
  host: '{host}',
  variables: { host: { default: '127.0.0.1:3000', description: 'The host and port of the server, as for REST.' } }
}

/** Returns the AsyncAPI document of the socket protocol. It describes the server: it receives what clients send. */
export function createAsyncApiDocument () {
  const schemas = new SchemaComponents()
  const socketIo = channel('socketIo', socketIoExchanges, schemas)
  const webSocket = channel('webSocket', webSocketExchanges, schemas)
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Realtime Platform: sockets',
      version,
      description: [
        'Clients receive events and exchange messages over Socket.IO or over plain WebSocket (`/ws`). Both have the',
        'same requests; only the encoding differs. The document describes the server: the action `receive` marks',
        'messages from clients, `send` marks messages to clients.',
        '',
        'The [socket protocol](/docs/PROTOCOL.md) explains guarantees, limits and resuming. [Errors](/docs/ERRORS.md)',
        'lists the codes of refusals. REST is in `/openapi.json`.'
      ].join('\n'),
      license: { name: 'Proprietary' }
    },
    defaultContentType: 'application/json',
    servers: {
      socketIo: {
        ...serverAddress,
        pathname: '/socket.io',
        protocol: 'socket.io',
        protocolVersion: '5',
        description: 'Socket.IO 4 (protocol 5 over Engine.IO 4), by WebSocket or long polling. TLS is up to a proxy.',
        security: securedBy('message', 'token', 'session')
      },
      webSocket: {
        ...serverAddress,
        protocol: 'ws',
        protocolVersion: '13',
        description: 'Plain WebSocket (RFC 6455). TLS is up to a proxy.',
        security: securedBy('message', 'token', 'session', 'query')
      }
    },
    channels: {
      socketIo: {
        address: '/',
        title: 'Socket.IO',
        description:
          'The default namespace. A message is an event: its name is the name of the message, its one argument the ' +
            'payload. A request is an event with an acknowledgement, and its reply is the argument of the ' +
            'acknowledgement. `connect` and `connect_error` are packets of Socket.IO itself.',
        servers: [{ $ref: '#/servers/socketIo' }],
        messages: socketIo.messages,
        'x-close-codes': closeCodeList()
      },
      webSocket: {
        address: '/ws',
        title: '/ws',
        description:
          'A message is a text frame with a JSON object. Its `type` is the name of the message. A reply repeats ' +
            'the `id` of its request; replies may arrive in another order than their requests.',
        servers: [{ $ref: '#/servers/webSocket' }],
        messages: webSocket.messages,
        bindings: {
          ws: {
            method: 'GET',
            query: {
              type: 'object',
              properties: {
                token: { type: 'string', description: 'A token, an API key or a session token.' },
                applicationId: { type: 'string', description: 'The application.' },
                environment: { type: 'string', description: 'The environment.' }
              }
            },
            headers: {
              type: 'object',
              properties: {
                'Sec-WebSocket-Protocol': {
                  type: 'string', const: 'realtime.v1', description: 'The subprotocol: this protocol. May be omitted.'
                }
              }
            },
            bindingVersion: '0.1.0'
          }
        },
        'x-close-codes': [...closeCodeList(), ...webSocketCloseCodes]
      }
    },
    operations: { ...socketIo.operations, ...webSocket.operations },
    components: { schemas: schemas.toJSON(), securitySchemes }
  }
}

const closeCodeList = () =>
  Object.values(closeCodes).map(({ code, reason, reconnect }) => ({
    code, reason, reconnect, description: closeDescriptions[reason]
  }))
