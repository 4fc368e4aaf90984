import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { networkOf } from '../src/identity/auth/network.ts'
import { BodyBudget, HeldBody, readBody, type BodyOwner } from '../src/foundation/limits/body-budget.ts'
import { asCodingError, decode, requireUtf8, type Decoding } from '../src/foundation/http/body-coding.ts'
import { onceAnsweredOrGone } from '../src/foundation/http/connection-end.ts'
import { requireExactNumbers } from '../src/foundation/exact-numbers.ts'
import { parseJson } from '../src/foundation/json.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The share of this request's body in the budget. */
    heldBody: HeldBody | undefined
  }
}

/** Limit of the body of a public route. */
const publicBodyBytesMax = 16 * 1024

/**
 * Parses request bodies: JSON in UTF-8 with any JSON media type, optionally compressed; other types get 415. An inexact
 * number is rejected. A missing body is undefined. Public routes have a lower size limit, and all bodies share a budget
 * until they are answered.
 */
export default fp(async (app) => {
  const budget = new BodyBudget(app.config.http.bodies, app.instruments)
  app.addHook('onRoute', route => {
    if (route.config?.permission === 'public') route.bodyLimit ??= publicBodyBytesMax
  })
  app.decorateRequest('heldBody', undefined)
  app.addHook('preParsing', (request, reply, _payload, done) => {
    if (hasBody(request)) {
      const held = new HeldBody(budget, ownerOf(request))
      request.heldBody = held
      onceAnsweredOrGone(request.raw.socket, reply.raw, () => held.end())
    }
    done()
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json(?:\s*;|$)/i, (request: FastifyRequest, payload, done) => {
    const take = (bytes: number) => request.heldBody?.take(bytes)
    const giveBack = (bytes: number) => request.heldBody?.giveBack(bytes)
    let decoding: Decoding
    try {
      requireUtf8(request.headers['content-type'] ?? '')
      decoding = decode(payload, request.headers['content-encoding'], { take, giveBack })
    } catch (error) {
      return done(error as Error, undefined)
    }
    // The limits count decoded bytes, so that a compression bomb ends at the limit.
    const reading = {
      bytesMax: request.routeOptions.bodyLimit ?? publicBodyBytesMax,
      announced: Number(request.headers['content-length']), take
    }
    readBody(decoding.body, reading, (error, body) => {
      decoding.stop()
      if (error !== null || body === undefined || body.length === 0) {
        return done(error === null ? null : asCodingError(error), undefined)
      }
      try {
        const { value, text } = parseJson(body)
        requireExactNumbers(text)
        done(null, value)
      } catch (broken) {
        done(broken as Error, undefined)
      }
    })
  })
}, { name: 'json-body', dependencies: ['auth', 'config', 'metrics'] })

/** Bodies of GET and HEAD, and so of WebSocket upgrades, are not read. */
const hasBody = ({ method, headers }: FastifyRequest) =>
  method !== 'GET' && method !== 'HEAD' &&
  (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0')

/** A request without an application is charged to its address. */
function ownerOf ({ admission, ip }: FastifyRequest): BodyOwner {
  const scope = admission?.scope
  return scope === undefined
    ? { kind: 'address', id: networkOf(ip) }
    : { kind: 'application', id: scope.applicationId }
}
