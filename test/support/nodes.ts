import type { FastifyInstance } from 'fastify'
import type { Config } from '../../src/config.ts'
import { build, listen } from './build.ts'
import { createDatabase } from './database.ts'
import { overRedis, type NodeLinks } from './node-links.ts'
import type { RedisServer } from './redis.ts'
import type { Teardown } from './teardown.ts'
import { until } from './waiting.ts'

/* Several nodes in this process, with one database, connected by Redis or as workers of one command. */

export interface Node { app: FastifyInstance, url: string }

export interface NodesOptions {
  adapt?: (config: Config) => void
  variables?: Record<string, string>
  databaseUrl?: string
}

export async function startNodes (
  t: Teardown, links: NodeLinks | RedisServer, count: number, { adapt, variables, databaseUrl }: NodesOptions = {}
): Promise<[Node, Node, ...Node[]]> {
  const url = databaseUrl ?? await createDatabase(t)
  const link = 'kill' in links ? overRedis(links) : links
  const nodes = await Promise.all(Array.from({ length: count }, async () => {
    const worker = await link.connect?.()
    const { app } = await build(t, {
      databaseUrl: url,
      variables: { ...link.variables, ...variables },
      ...(worker !== undefined && { worker }),
      ...(adapt !== undefined && { adapt })
    })
    return { app, url: await listen(app) }
  }))
  return nodes as [Node, Node, ...Node[]]
}

/** Resolves when each node has all records of the others. */
export async function acquainted (nodes: readonly { app: FastifyInstance }[], count = nodes.length): Promise<void> {
  const isDone = () =>
    nodes.every(({ app }) => app.cluster.peers.count === count - 1 && app.cluster.records.incomplete.length === 0)
  await until(isDone, 'the nodes to have the records of each other')
}
