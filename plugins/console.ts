import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { findConsole, isPageRequest, type ConsoleFiles } from '../src/foundation/http/console-files.ts'

/** Where mails and sign-ins lead to, and for a server without a build, the guide that explains the same steps. */
const guides = {
  '/accept-invite': '/docs/AUTH.md#invite-users',
  '/reset-password': '/docs/AUTH.md#invite-users',
  '/login': '/docs/AUTH.md#sign-in-with-an-identity-provider'
}
const yearMs = 365 * 24 * 3_600_000

/**
 * Serves the console, which `npm run build` builds from `ui/` into `ui/dist`, or another build in `CONSOLE_DIR`. A
 * browser that navigates to a path without a route gets its page. Without a build, `/` and the other pages that the
 * server links to lead to `/docs`.
 */
export default fp(async (app) => {
  const files = findConsole(app.config.http.consoleFolder)
  const options = { config: { permission: 'public' as const }, schema: { hide: true } }
  if (files === undefined) {
    app.get('/', options, async (_request, reply) => reply.redirect('/docs'))
    for (const [path, guide] of Object.entries(guides)) {
      app.get(path, options, async (_request, reply) => reply.redirect(guide))
    }
    return
  }
  app.get('/', options, async (_request, reply) => sendPage(reply, files))
  // After the hooks that check the host and the rate. The guard does not apply to paths without a route: the page is
  // public.
  app.addHook('preHandler', async (request, reply) => {
    if (request.is404 && isPageRequest(request)) return await sendPage(reply, files)
  })
  await app.register(fastifyStatic, {
    root: files.folder, serve: false, preCompressed: true, index: false, dotfiles: 'ignore'
  })
  const assets = join(files.folder, 'assets')
  for (const name of files.rootFiles) {
    app.get(`/${name}`, options, async (_request, reply) => {
      return reply.headers({ 'cache-control': 'no-cache', vary: 'accept-encoding' })
        .sendFile(name, { cacheControl: false })
    })
  }
  app.get('/assets/*', options, async (request: FastifyRequest<{ Params: { '*': string } }>, reply) => {
    const name = request.params['*']
    if (name === '' || name.endsWith('/')) return reply.callNotFound()
    // The names of assets contain a hash of their content.
    return reply.headers({ vary: 'accept-encoding', 'content-security-policy': assetPolicy })
      .sendFile(name, assets, { immutable: true, maxAge: yearMs })
  })
}, { name: 'console', dependencies: ['config', 'auth', 'security', 'errors', 'host'] })

async function sendPage (reply: FastifyReply, files: ConsoleFiles) {
  const { html, nonce } = files.page()
  return reply.headers(pageHeaders(nonce)).type('text/html; charset=utf-8').send(html)
}

const pageHeaders = (nonce: string): Record<string, string> => ({
  'content-security-policy': policyOf(`'self' 'nonce-${nonce}'`),
  // Each visit needs the current page, because it names the current assets.
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin'
})

/**
 * The policy of the page, and of its assets: a worker follows the policy of its own response. Both run scripts of this
 * server only and talk to this server only. A style element that a script inserts must carry the nonce of the page.
 */
const policyOf = (styles: string): string =>
  [
    'default-src \'self\'', 'script-src \'self\'', `style-src ${styles}`, 'img-src \'self\' data: blob:',
    'font-src \'self\'', 'connect-src \'self\'', 'worker-src \'self\' blob:', 'object-src \'none\'',
    'base-uri \'none\'', 'form-action \'self\'', 'frame-ancestors \'none\''
  ].join('; ')

const assetPolicy = policyOf('\'self\'')
