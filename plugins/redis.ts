import fp from 'fastify-plugin'
import { createRedisNamespace, type RedisNamespace } from '../src/foundation/redis-namespace.ts'
import { readDatabaseIdentity } from '../src/foundation/database-identity.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** How to use the Redis of `REDIS_URL`. Undefined where there is none. */
    redis: { url: string, namespace: RedisNamespace } | undefined
  }
}

/** Where Redis is, and under which names this deployment uses it. Does not connect. */
export default fp(async (app) => {
  const { redis } = app.config
  app.decorate('redis', redis.url === undefined
    ? undefined
    : { url: redis.url, namespace: createRedisNamespace(await readDatabaseIdentity(app.pool), redis.prefix) })
}, { name: 'redis', dependencies: ['config', 'database'] })
