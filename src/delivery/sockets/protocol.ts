import type { Static, TSchema } from '@sinclair/typebox'
import { RateLimitError, ServiceUnavailableError, toPublicError, ValidationError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { exactValidator, toDetail } from '../../foundation/http/validation.ts'
import { stringFormats } from '../../registry/json-schema/formats.ts'
import type { Connection } from './connection.ts'

/**
 * Sends the answer to a request, an object or a PreparedAnswer, in the turn in which it is called. Call it before
 * starting what the request starts.
 */
export type Respond = (answer: object) => void

/** A request that a client can make. */
export interface SocketRequest {
  /** The type of the answering frame over `/ws`. Over Socket.IO, an acknowledgement answers. */
  readonly answer: string
  handle (connection: Connection, fields: unknown, respond: Respond): Promise<void> | void
}

/** Creates a request whose fields are validated first. Throws ValidationError that names the first wrong field. */
export function socketRequest<T extends TSchema> (
  answer: string,
  schema: T,
  handle: (connection: Connection, fields: Static<T>, respond: Respond) => Promise<void> | void
): SocketRequest {
  const validate = ajv.compile<Static<T>>(schema)
  return {
    answer,
    handle (connection, fields, respond) {
      if (validate(fields)) return handle(connection, fields, respond)
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
  requests: Record<string, SocketRequest>
  /** Returns whether the server is short of memory. */
  isOverloaded: () => boolean
  logger: { error (fields: object, message: string): void }
}

/**
 * Creates the handler of client requests, the same for every transport. A gateway decodes a request, calls `handle`,
 * and encodes the answer.
 */
export function createProtocol ({ requests, isOverloaded, logger }: ProtocolOptions) {
  const find = (name: string) => Object.hasOwn(requests, name) ? requests[name] : undefined
  const names: readonly string[] = Object.keys(requests)
  return {
    /** The names of all requests. */
    names,

    /** Returns the type of the frame that answers a request. */
    answerTo: (name: string): string => find(name)?.answer ?? name,

    /** Handles one request. Rejects with a PublicError for any failure; the connection stays open. */
    async handle (connection: Connection, name: string, fields: unknown, respond: Respond): Promise<void> {
      try {
        const request = find(name)
        if (request === undefined) {
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
        await request.handle(connection, fields, respond)
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
