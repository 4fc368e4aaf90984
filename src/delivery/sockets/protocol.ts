import type { Static, TSchema } from '@sinclair/typebox'
import { RateLimitError, ServiceUnavailableError, toPublicError, ValidationError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { exactValidator, toDetail } from '../../foundation/http/validation.ts'
import { FORMATS } from '../../registry/json-schema/formats.ts'
import type { Connection } from './connection.ts'

/**
 * Sends the answer of a request, an object or a PreparedAnswer, in the turn in which it is called; whatever the request
 * starts, starts after it.
 */
export type Respond = (answer: object) => void

/** One request that a client can make. */
export interface SocketRequest {
  /** The frame that answers it over `/ws`; Socket.IO acknowledges. */
  readonly answer: string
  handle (connection: Connection, fields: unknown, respond: Respond): Promise<void> | void
}

/**
 * A request whose fields are checked first. Throws ValidationError that names the first field that is wrong.
 */
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
 * The validator of REST's bodies, so that the same schema means the same here: lengths in code points (JSON Schema
 * §6.3.1).
 */
const ajv = exactValidator(FORMATS)

/** No request has as many. More are refused for their number, before anything walks them. */
export const fieldsMax = 32

function requireFewFields (fields: unknown): void {
  if (typeof fields !== 'object' || fields === null) return
  const count = Object.keys(fields).length
  if (count > fieldsMax) throw invalid('', `must have at most ${fieldsMax} fields`, 'The request')
}

/** What is answered even by a server that is short of memory: it takes nothing, or gives something back. */
const relieving: ReadonlySet<string> = new Set(['auth', 'leave', 'unsubscribe'])
const overloadedRetryS = 5
const slowRetryMs = 1000

export interface ProtocolOptions {
  requests: Record<string, SocketRequest>
  /** Whether the server is short of memory. */
  isOverloaded: () => boolean
  logger: { error (fields: object, message: string): void }
}

/**
 * The requests that a client can make over a socket, the same for every transport: a gateway takes the link's form off,
 * calls `handle`, and puts the answer into that form again.
 */
export function createProtocol ({ requests, isOverloaded, logger }: ProtocolOptions) {
  const find = (name: string) => Object.hasOwn(requests, name) ? requests[name] : undefined
  const names: readonly string[] = Object.keys(requests)
  return {
    /** The requests that there are. */
    names,

    /** The type of the frame that answers a request of that name. */
    answerTo: (name: string): string => find(name)?.answer ?? name,

    /** Handles one request. Rejects with a PublicError, whatever went wrong; the connection lives on. */
    async handle (connection: Connection, name: string, fields: unknown, respond: Respond): Promise<void> {
      try {
        const request = find(name)
        if (request === undefined) {
          throw new ValidationError(
            'FRAME_INVALID',
            `Unknown request: ${String(name).slice(0, 100)}; there are ${names.join(', ')}`
          )
        }
        if (connection.isOpen && !connection.hasRoom) {
          throw new RateLimitError(
            'SLOW_CONSUMER', 'The client has not read what it was sent: read it, then ask again',
            { retryAfterMs: slowRetryMs }
          )
        }
        if (isOverloaded() && !relieving.has(name)) {
          throw new ServiceUnavailableError('OVERLOADED', 'The server has more to do than it can; come back shortly', {
            retryAfterS: overloadedRetryS
          })
        }
        requireFewFields(fields)
        await request.handle(connection, fields, respond)
      } catch (error) {
        const refusal = toPublicError(error)
        if (refusal.status === 500) { logger.error({ err: error, request: name, connectionId: connection.id }, 'socket.request_failed') }
        throw refusal
      }
    }
  }
}
export type Protocol = ReturnType<typeof createProtocol>
