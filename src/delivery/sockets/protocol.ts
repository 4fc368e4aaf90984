import {
  socketRequests, type AnswerFields, type RequestFields, type RequestName
} from '../../../schemas/socket-protocol.ts'
import { RateLimitError, ServiceUnavailableError, toPublicError, ValidationError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { exactValidator, toDetail } from '../../foundation/http/validation.ts'
import { stringFormats } from '../../registry/json-schema/formats.ts'
import type { Connection } from './connection.ts'
import type { PreparedAnswer } from './prepared-answer.ts'

/** Sends the answer to a request in the turn in which it is called. Call it before starting what the request starts. */
export type Respond<N extends RequestName> = (answer: AnswerFields<N> | PreparedAnswer<AnswerFields<N>>) => void

/** Encodes and sends the answer to any request: an object or a PreparedAnswer. */
export type SendAnswer = (answer: object) => void

/** The handling of one request of the protocol. */
export interface SocketRequest<N extends RequestName> {
  readonly name: N
  handle (connection: Connection, fields: unknown, send: SendAnswer): Promise<void> | void
}

/** Some requests of the protocol, by name. */
export type SocketRequests<N extends RequestName = RequestName> = { readonly [Name in N]: SocketRequest<Name> }

/** Creates a request whose fields are validated first. Throws ValidationError that names the first wrong field. */
export function socketRequest<N extends RequestName> (
  name: N,
  handle: (connection: Connection, fields: RequestFields<N>, respond: Respond<N>) => Promise<void> | void
): SocketRequest<N> {
  const validate = ajv.compile<RequestFields<N>>(socketRequests[name].fields)
  return {
    name,
    handle (connection, fields, send) {
      if (validate(fields)) return handle(connection, fields, send)
      const detail = toDetail(validate.errors ?? [])
      throw new ValidationError(
        'VALIDATION_FAILED',
        `${detail.path === '' ? 'The request' : detail.path.slice(0, 200)} ${detail.message}`,
        { details: [detail] }
      )
    }
  }
}

/**
 * The validator of REST bodies, so that a schema means the same here: lengths are in code points (JSON Schema §6.3.1).
 */
const ajv = exactValidator(stringFormats)

/** More than any request has. A request with more is refused before anything walks its fields. */
export const fieldsMax = 32

function requireFewFields (fields: unknown): void {
  if (typeof fields !== 'object' || fields === null) return
  const count = Object.keys(fields).length
  if (count > fieldsMax) throw invalid('', `must have at most ${fieldsMax} fields`, 'The request')
}

/** Requests that a server short of memory still handles, because they take none or free some. */
const relieving: ReadonlySet<string> = new Set(['auth', 'leave', 'unsubscribe'])
const overloadedRetryS = 5
const slowRetryMs = 1000

export interface ProtocolOptions {
  requests: SocketRequests
  /** Returns whether the server is short of memory. */
  isOverloaded: () => boolean
  logger: { error (fields: object, message: string): void }
}

/**
 * Creates the handler of client requests, the same for every transport. A gateway decodes a request, calls `handle`,
 * and encodes the answer.
 */
export function createProtocol ({ requests, isOverloaded, logger }: ProtocolOptions) {
  const isRequest = (name: string): name is RequestName => Object.hasOwn(requests, name)
  const names: readonly string[] = Object.keys(requests)
  return {
    /** The names of all requests. */
    names,

    /** Returns the type of the frame that answers a request. */
    answerTo: (name: string): string => isRequest(name) ? socketRequests[name].frame : name,

    /** Handles one request. Rejects with a PublicError for any failure; the connection stays open. */
    async handle (connection: Connection, name: string, fields: unknown, send: SendAnswer): Promise<void> {
      try {
        if (!isRequest(name)) {
          throw new ValidationError(
            'FRAME_INVALID',
            `Unknown request: ${String(name).slice(0, 100)}. Use one of ${names.join(', ')}`
          )
        }
        if (connection.isOpen && !connection.hasRoom) {
          throw new RateLimitError(
            'SLOW_CONSUMER', 'The client has not read the messages sent to it. Read them, then retry',
            { retryAfterMs: slowRetryMs }
          )
        }
        if (isOverloaded() && !relieving.has(name)) {
          throw new ServiceUnavailableError('OVERLOADED', 'The server is overloaded. Retry after retryAfterMs', {
            retryAfterS: overloadedRetryS
          })
        }
        requireFewFields(fields)
        await requests[name].handle(connection, fields, send)
      } catch (error) {
        const refusal = toPublicError(error)
        if (refusal.status === 500) {
          logger.error({ err: error, request: name, connectionId: connection.id }, 'socket.request_failed')
        }
        throw refusal
      }
    }
  }
}
export type Protocol = ReturnType<typeof createProtocol>
