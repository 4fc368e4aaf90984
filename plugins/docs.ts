import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'
import { sendAsset } from '../src/foundation/http/assets.ts'
import { createDocsPages } from '../src/foundation/http/docs-pages.ts'

/** The pages run their own scripts only, and talk to this server only. The styles are inline, as Scalar makes them. */
const pagePolicy = [
  'default-src \'self\'', 'img-src \'self\' data:', 'style-src \'self\' \'unsafe-inline\'', 'script-src \'self\'',
  'object-src \'none\'', 'base-uri \'self\'', 'form-action \'self\'', 'frame-ancestors \'none\''
].join('; ')

/** Serves the pages at `/docs`: the reference of the REST API, where requests can be tried, and the guides. */
export default fp(async (app) => {
  await app.register(async pages => {
    await pages.register(helmet, { contentSecurityPolicy: false, strictTransportSecurity: false })
    // Not by helmet, which sets its headers below Fastify's: that of all answers would outrank it.
    pages.addHook('onRequest', async (_request, reply) => { reply.header('content-security-policy', pagePolicy) })
    const options = { config: { permission: 'public' as const }, schema: { hide: true } }
    for (const [path, asset] of createDocsPages()) {
      for (const url of path === '' ? ['/docs', '/docs/'] : [`/docs${path}`]) {
        pages.get(url, options, async (request, reply) => sendAsset(request, reply, asset()))
      }
    }
  })
}, { name: 'docs', dependencies: ['auth', 'security'] })
