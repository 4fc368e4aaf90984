import type { WorkerContext } from '../../src/cluster/ipc/worker-context.ts'
import { startExchange } from './exchange.ts'
import { startRedis, type RedisServer } from './redis.ts'
import type { Teardown } from './teardown.ts'

/** The connection between the nodes of a test. */
export interface NodeLinks {
  name: string
  variables: Record<string, string>
  /** Undefined for workers. */
  redis?: RedisServer
  /** Connects a worker with the exchange of its parent. */
  connect? (): Promise<WorkerContext>
}

/** Returns the links of workers, and those over Redis if it is installed: everything between nodes works with both. */
export async function nodeLinks (t: Teardown): Promise<NodeLinks[]> {
  const exchange = await startExchange(t)
  const redis = await startRedis(t)
  return [
    { name: 'workers', variables: {}, connect: async () => (await exchange.connect()).context },
    ...redis === undefined ? [] : [overRedis(redis)]
  ]
}

export const overRedis = (redis: RedisServer): NodeLinks =>
  ({ name: 'Redis', variables: { REDIS_URL: redis.url }, redis })
