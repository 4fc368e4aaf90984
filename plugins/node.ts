import fp from 'fastify-plugin'
import type { Node } from '../src/cluster/node.ts'

declare module 'fastify' {
  interface FastifyInstance { node: Node }
}

/** Decorates the app with the identity of this process. */
export default fp<{ node: Node }>(async (app, { node }) => {
  app.decorate('node', node)
}, { name: 'node' })
