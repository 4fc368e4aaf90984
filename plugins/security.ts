import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import type { Scope } from '../schemas/scope.ts'
import type { Principal } from '../src/identity/access/principal.ts'
import { networkOf } from '../src/identity/auth/network.ts'
import { IpcCounter } from '../src/cluster/ipc/ipc-counter.ts'
import { createRequestCounter, type Window } from '../src/foundation/limits/request-counter.ts'
import { RedisCounter } from '../src/foundation/limits/redis-counter.ts'
import { RateLimitError } from '../src/errors.ts'
import { securityHeaders } from '../src/foundation/http/openapi.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request that Fastify does not handle as one of a public route. Throws RateLimitError `RATE_LIMITED`. */
    admitStranger (address: string): Promise<void>
    /** Takes back the count of a handshake that the server failed to answer. */
    forgiveStranger (address: string): void
    /**
     * Counts a request over a socket as one over REST, of its principal and its application. Throws, or rejects with,
     * RateLimitError `RATE_LIMITED`. Undefined if there is nothing to wait for.
     */
    countRequest (principal: Pick<Principal, 'id'>, scope: Pick<Scope, 'applicationId'>): Promise<void> | undefined
  }
}

const windowMs = 60_000
const oidcExchange = '/api/auth/oidc/exchange'
const pressureCheckedMs = 1000

/** Sent when users reach the server over https, so that browsers always use https. */
const strictTransport = { 'strict-transport-security': 'max-age=31536000' }

/** Sets security headers and CORS, limits request rates, and refuses requests when memory runs low. */
export default fp(async (app) => {
  const {
    http: {
      corsOrigins, publicUrl, rateLimitMax, rateLimitApplicationMax, heapUsedBytesMax, rssBytesMax, externalBytesMax
    }
  } = app.config
  const always = { ...securityHeaders, ...(publicUrl?.startsWith('https:') === true && strictTransport) }
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(always)
    // A console of another origin needs the cookie of the sign-in for this request only.
    const { url, headers: { origin } } = request
    if (url === oidcExchange && origin !== undefined && corsOrigins.includes(origin)) {
      reply.header('access-control-allow-credentials', 'true')
    }
    done()
  })
  await app.register(cors, {
    origin: corsOrigins.includes('*') ? true : corsOrigins.length > 0 ? corsOrigins : false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['x-request-id', 'x-next-cursor', 'x-nodes-missing', 'etag', 'retry-after', 'preference-applied'],
    maxAge: 600
  })
  const counters = app.redis === undefined
    ? app.worker && new IpcCounter(app.worker.parent)
    : new RedisCounter(app.redis)
  app.addHook('onClose', async () => counters?.close())
  const Counts = createRequestCounter(counters)
  // The counters of `app.rateLimit` and, with the empty route, of `app.createRateLimit` below.
  const [ofCallers, ofApplications] = [new Counts(), new Counts({ routeInfo: {} })]
  const count = (counts: typeof ofCallers, key: string, max: number, by?: string): Promise<void> | undefined => {
    if (max === 0) return undefined
    const check = ({ current, ttl }: Window): undefined => { if (current > max) throw tooMany(max, ttl, by) }
    const window = counts.count(key, windowMs)
    return window instanceof Promise ? window.then(check) : check(window)
  }
  app.decorate('admitStranger', async (address: string) => count(ofCallers, networkOf(address), rateLimitMax))
  app.decorate('forgiveStranger', (address: string) => { if (rateLimitMax > 0) ofCallers.decr(networkOf(address)) })
  app.decorate('countRequest', ({ id }: Pick<Principal, 'id'>, { applicationId }: Pick<Scope, 'applicationId'>) => {
    const counted = [
      count(ofCallers, id, rateLimitMax),
      count(ofApplications, `application ${applicationId}`, rateLimitApplicationMax, ' by the application')
    ].filter(one => one !== undefined)
    return counted.length === 0 ? undefined : Promise.all(counted).then(() => {})
  })
  await app.register(rateLimit, {
    store: Counts,
    global: rateLimitMax > 0,
    max: rateLimitMax || 6000,
    timeWindow: windowMs,
    // Runs after authentication, to count principals, and before a body is read.
    hook: 'preParsing',
    keyGenerator: request => request.admission?.principal.id ?? networkOf(request.ip),
    errorResponseBuilder: (_request, { max, ttl }) => Object.assign(tooMany(max, ttl), { statusCode: 429 })
  })
  if (rateLimitApplicationMax > 0) {
    const countApplication = app.createRateLimit({
      max: rateLimitApplicationMax,
      timeWindow: windowMs,
      keyGenerator: request => `application ${request.scope.applicationId}`
    })
    app.addHook('preParsing', async request => {
      if (request.admission?.scope === undefined) return
      const use = await countApplication(request)
      if (!use.isAllowed && use.isExceeded) throw tooMany(use.max, use.ttl, ' by the application')
    })
  }
  // Refuses requests before memory runs out. The event loop delay is no criterion: on a busy machine it has no samples
  // and counts as infinite. Bodies and socket buffers are outside the heap.
  const hasRoomOutside = () => process.memoryUsage().external <= externalBytesMax
  await app.register(underPressure, {
    maxHeapUsedBytes: heapUsedBytesMax,
    maxRssBytes: rssBytesMax,
    message: 'Under pressure',
    retryAfter: 5,
    healthCheck: async () => hasRoomOutside(),
    healthCheckInterval: pressureCheckedMs
  })
  const isHeapFull = app.isUnderPressure
  let isOutsideFull = false
  const sampling = setInterval(() => { isOutsideFull = !hasRoomOutside() }, pressureCheckedMs).unref()
  app.addHook('onClose', async () => clearInterval(sampling))
  app.isUnderPressure = () => isHeapFull() || isOutsideFull
  // Degraded, not failed: without this node, the others would get its load.
  app.health.add(
    'memory',
    async () =>
      app.isUnderPressure()
        ? { status: 'degraded', message: 'low on memory: requests and sockets are refused' }
        : { status: 'ok' }
  )
}, { name: 'security', dependencies: ['config', 'auth', 'health', 'redis', 'worker'] })

function tooMany (max: number, ttlMs: number, by = ''): RateLimitError {
  const retryAfterS = Math.ceil(ttlMs / 1000)
  return new RateLimitError('RATE_LIMITED', `More than ${max} requests per minute${by}. Retry in ${retryAfterS} s`, {
    retryAfterS, retryAfterMs: retryAfterS * 1000
  })
}
