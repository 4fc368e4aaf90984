import type { FastifyError, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { acceptedCodings } from '../src/foundation/http/body-coding.ts'
import {
  NotFoundError,
  PayloadTooLargeError,
  QuotaExceededError,
  RateLimitError,
  ServiceUnavailableError,
  toPublicError,
  UnauthorizedError,
  UnsupportedMediaTypeError,
  ValidationError,
  PublicError
} from '../src/errors.ts'
import { toDetail } from '../src/foundation/http/validation.ts'

/** Turns every thrown error into a response. Internal errors are logged in full and answered without detail. */
export default fp(async (app) => {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (isAbandoned(error, request)) return reply.code(statusOfAbandoned).send()
    const refusal = fromFastify(error, request) ?? toPublicError(error)
    if (refusal.status === 500) request.log.error({ err: error, path: request.routeOptions.url }, 'request.failed')
    if (refusal instanceof RateLimitError || refusal instanceof ServiceUnavailableError) {
      reply.header('retry-after', refusal.retryAfterS)
    } else if (refusal instanceof QuotaExceededError && refusal.retryAfterS !== undefined) {
      reply.header('retry-after', refusal.retryAfterS)
    }
    // RFC 9110 §15.5.16: a 415 because of the coding lists the supported ones.
    if (refusal.code === 'CONTENT_ENCODING_UNSUPPORTED') reply.header('accept-encoding', acceptedCodings)
    // RFC 9110 §11.6.1: a 401 names the authentication scheme.
    if (refusal instanceof UnauthorizedError) reply.header('www-authenticate', 'Bearer')
    reply.code(refusal.status).type('application/json; charset=utf-8').send(JSON.stringify(refusal.toBody()))
  })
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0] ?? ''
    throw new NotFoundError('ROUTE_NOT_FOUND', `Route not found: ${request.method} ${path.slice(0, 200)}`)
  })
}, { name: 'errors' })

/** As nginx logs it. No client receives it. */
const statusOfAbandoned = 499

/** Returns whether the work stopped because the client closed the connection. */
const isAbandoned = (error: Error, request: FastifyRequest): boolean =>
  error.name === 'AbortError' && request.signal.aborted

const partNames: Record<string, string> = {
  body: 'The body', querystring: 'The query', params: 'The path', headers: 'The header'
}

/** Translates errors of Fastify and its plugins. */
function fromFastify (error: FastifyError | PublicError, request: FastifyRequest): PublicError | undefined {
  if (error instanceof PublicError) return error
  if (error.validation !== undefined) return fromValidation(error)
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new PayloadTooLargeError(
        'BODY_TOO_LARGE',
        `The body is larger than ${request.routeOptions.bodyLimit} bytes`
      )
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new UnsupportedMediaTypeError(
        'CONTENT_TYPE_UNSUPPORTED',
        `The content type must be application/json, not ${String(request.headers['content-type']).slice(0, 100)}`
      )
    case 'FST_UNDER_PRESSURE':
      return new ServiceUnavailableError('OVERLOADED', 'The server is overloaded. Retry after 5 s', {
        retryAfterS: 5
      })
    default:
      if (error.statusCode === 404) return new NotFoundError('ROUTE_NOT_FOUND', 'Route not found')
      if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
        return new ValidationError('VALIDATION_FAILED', error.message, { cause: error })
      }
      return undefined
  }
}

function fromValidation (error: FastifyError): ValidationError {
  const part = partNames[error.validationContext ?? 'body'] ?? 'The body'
  const detail = toDetail(error.validation ?? [])
  return new ValidationError(
    'VALIDATION_FAILED',
    `${part}${detail.path === '' ? '' : ` ${detail.path}`} ${detail.message}`,
    { details: [detail] }
  )
}
