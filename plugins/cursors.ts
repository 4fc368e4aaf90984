import type { FastifyRequest, onSendHookHandler, preHandlerHookHandler, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { createCursorSeal } from '../src/foundation/encryption/cursor-seal.ts'

/**
 * Encrypts the cursors that lists return, and decrypts those that they receive. Every route whose query has `cursor`
 * is a list.
 */
export default fp(async (app) => {
  const cursors = createCursorSeal(app.config.encryptionKeys)

  const open: preHandlerHookHandler = (request, _reply, done) => {
    const query = request.query as { cursor?: string }
    if (query.cursor !== undefined) query.cursor = cursors.open(listOf(request), query.cursor)
    done()
  }

  const seal: onSendHookHandler = (request, reply, payload, done) => {
    const next = reply.getHeader('x-next-cursor')
    if (next !== undefined) reply.header('x-next-cursor', cursors.seal(listOf(request), String(next)))
    done(null, payload)
  }

  app.addHook('onRoute', route => {
    if (!isList(route)) return
    const [before, after] = [[route.preHandler ?? []].flat(), [route.onSend ?? []].flat()]
    // Fastify makes a HEAD route from the options of its GET route, including these hooks.
    if (before.includes(open)) return
    route.preHandler = [open, ...before]
    route.onSend = [...after, seal]
  })
}, { name: 'cursors', dependencies: ['config', 'auth'] })

function isList (route: RouteOptions): boolean {
  const query = route.schema?.querystring as { properties?: Record<string, unknown> } | undefined
  return query?.properties?.['cursor'] !== undefined
}

/** Returns the identity of the requested list. Pages of one list differ only in `limit` and `cursor`. */
function listOf ({ routeOptions, params, query, admission }: FastifyRequest): string {
  const { limit: _, cursor: __, ...filters } = query as Record<string, unknown>
  const scope = admission?.scope
  return JSON.stringify([
    routeOptions.url, params, Object.entries(filters).sort(([a], [b]) => a < b ? -1 : 1), scope?.applicationId,
    scope?.environment
  ])
}
