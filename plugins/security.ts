import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { networkOf } from '../src/identity/auth/network.ts'
import { createRequestCounter } from '../src/foundation/limits/request-counter.ts'
import { RedisCounter } from '../src/foundation/limits/redis-counter.ts'
import { RateLimitError } from '../src/errors.ts'
import { securityHeaders } from '../src/foundation/http/openapi.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request that Fastify does not handle as one of a public route. Throws RateLimitError `RATE_LIMITED`. */
    admitStranger (address: string): Promise<void>
    /** Takes back the count of a handshake that the server failed to answer. */
    forgiveStranger (address: string): void
  }
}

const windowMs = 60_000
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
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(always)
    done()
  })
  await app.register(cors, {
    origin: corsOrigins.includes('*') ? true : corsOrigins.length > 0 ? corsOrigins : false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['x-request-id', 'x-next-cursor', 'x-nodes-missing', 'etag', 'retry-after'],
    maxAge: 600
  })
  const counters = app.redis === undefined ? undefined : new RedisCounter(app.redis)
  app.addHook('onClose', async () => counters?.close())
  const Counts = createRequestCounter(counters)
  const ofStrangers = new Counts()
  app.decorate('admitStranger', (address: string) => new Promise<void>((resolve, reject) => {
    if (rateLimitMax === 0) return resolve()
    ofStrangers.incr(networkOf(address), (_error, window) => {
      if (window === undefined || window.current <= rateLimitMax) resolve()
      else reject(tooMany(rateLimitMax, window.ttl))
    }, windowMs)
  }))
  app.decorate('forgiveStranger', (address: string) => { if (rateLimitMax > 0) ofStrangers.decr(networkOf(address)) })
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
    const count = app.createRateLimit({
      max: rateLimitApplicationMax,
      timeWindow: windowMs,
      keyGenerator: request => `application ${request.scope.applicationId}`
    })
    app.addHook('preParsing', async request => {
      if (request.admission?.scope === undefined) return
      const use = await count(request)
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
}, { name: 'security', dependencies: ['config', 'auth', 'health', 'redis'] })

function tooMany (max: number, ttlMs: number, by = ''): RateLimitError {
  const retryAfterS = Math.ceil(ttlMs / 1000)
  return new RateLimitError('RATE_LIMITED', `More than ${max} requests per minute${by}. Retry in ${retryAfterS} s`, {
    retryAfterS
  })
}
