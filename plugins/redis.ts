import fp from 'fastify-plugin'
import { createRedisNamespace, type RedisNamespace } from '../src/foundation/redis-namespace.ts'
import { readDatabaseIdentity } from '../src/foundation/database-identity.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** URL and namespace of the Redis of `REDIS_URL`; undefined without one. */
    redis: { url: string, namespace: RedisNamespace } | undefined
  }
}

/** Adds the URL of Redis and the names that this deployment uses there. Does not connect. */
export default fp(async (app) => {
  const { redis } = app.config
  app.decorate('redis', redis.url === undefined
    ? undefined
    : { url: redis.url, namespace: createRedisNamespace(await readDatabaseIdentity(app.pool), redis.prefix) })
}, { name: 'redis', dependencies: ['config', 'database'] })
