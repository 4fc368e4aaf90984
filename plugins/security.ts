import { getHeapStatistics } from 'node:v8'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { networkOf } from '../src/auth/login-gate.ts'
import { createRequestCounts } from '../src/auth/request-counts.ts'
import { SharedCounters } from '../src/cluster/shared-counters.ts'
import { RateLimitError } from '../src/errors.ts'

/** Of what V8 may use; beyond it requests are shed. */
const heapShareMax = 0.9

/** Who may call from a browser, how often anybody may call, and when the server sheds load. */
export default fp(async (app) => {
  const { redisUrl, http: { corsOrigins, rateLimitMax } } = app.config
  await app.register(cors, {
    origin: corsOrigins.includes('*') ? true : corsOrigins.length > 0 ? corsOrigins : false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['x-request-id', 'x-next-cursor', 'x-nodes-missing', 'etag', 'retry-after'],
    maxAge: 600
  })
  const counters = redisUrl === undefined ? undefined : new SharedCounters({ url: redisUrl })
  app.addHook('onClose', async () => counters?.close())
  await app.register(rateLimit, {
    store: createRequestCounts(counters) as never,
    global: rateLimitMax > 0,
    max: rateLimitMax || 6000,
    timeWindow: 60_000,
    // After authentication, so that it counts principals, and before a body is read.
    hook: 'preParsing',
    keyGenerator: request => request.principal?.id ?? networkOf(request.ip),
    errorResponseBuilder: (_request, { max, ttl }) => {
      const retryAfterS = Math.ceil(ttl / 1000)
      const refusal = new RateLimitError('RATE_LIMITED', `More than ${max} requests; come back in ${retryAfterS} s`, { retryAfterS })
      return Object.assign(refusal, { statusCode: 429 })
    }
  })
  // Before memory runs out. Not by the delay of the event loop, which on a machine that is merely busy has no samples and counts as endless.
  await app.register(underPressure, { maxHeapUsedBytes: Math.floor(getHeapStatistics().heap_size_limit * heapShareMax), message: 'Under pressure', retryAfter: 5 })
}, { name: 'security', dependencies: ['config', 'auth'] })
