import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LoginAnswer } from '../../../../schemas/auth.ts'
import { ref, refusals } from '../../../../schemas/common.ts'
import { OidcCallbackQuery, OidcExchange, OidcRedirect, OidcStartQuery } from '../../../../schemas/oidc.ts'

/** As for other logins. */
const loginLimit = { max: 20, timeWindow: 60_000 }

const oidc: FastifyPluginAsyncTypebox = async (app) => {
  // The URLs here and the answers have codes and cookies, which no cache and no other page may get.
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
  })

  app.get('/start', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'startOidc',
      tags: ['Auth'],
      summary: 'Sign in with the identity provider',
      description:
        'Open this in the browser. It leads to the identity provider, from there to `GET /api/auth/oidc/callback`, ' +
          'and then to the page `/login` of the console with `#code=`, for `POST /api/auth/oidc/exchange`. A cookie ' +
          'binds these steps to the browser for ten minutes. Without `OIDC_ISSUER`, 404 `OIDC_NOT_CONFIGURED`; ' +
          'while the provider cannot be reached, 503 `OIDC_UNAVAILABLE`.',
      querystring: OidcStartQuery,
      response: { 302: OidcRedirect, ...refusals(400, 404) }
    }
  }, async (request, reply) => redirect(reply, await app.oidcLogin.start({
    returnTo: request.query.returnTo, cookies: request.headers.cookie
  })))

  app.get('/callback', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'completeOidc',
      tags: ['Auth'],
      summary: 'Come back from the identity provider',
      description:
        'The redirect URI to register at the provider. Leads to the page `/login` of the console: with `#code=` and ' +
          '`returnTo`, or with `#error=` and a code such as `OIDC_NO_ROLE`. It works once for each sign-in, in the ' +
          'browser that started it.',
      querystring: OidcCallbackQuery,
      response: { 302: OidcRedirect, ...refusals(400, 404) }
    }
  }, async (request, reply) => redirect(reply, await app.oidcLogin.callback({
    query: queryOf(request), state: request.query.state, cookies: request.headers.cookie
  }, request.origin)))

  app.post('/exchange', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'exchangeOidcCode',
      tags: ['Auth'],
      summary: 'Open the session of a sign-in',
      description:
        'Returns the session for the code of the sign-in page, as a login does. The code works once, for 60 seconds, ' +
          'in the browser that started the sign-in: send the cookie, from another origin with ' +
          '`credentials: "include"`. The session ends after `SESSION_TTL_HOURS`, even if it is used.',
      body: ref(OidcExchange),
      response: { 200: ref(LoginAnswer), ...refusals(400, 401, 404, 413, 415) }
    }
  }, async (request, reply) => {
    const { answer, cookie } = await app.oidcLogin.exchange(
      { code: request.body.code, cookies: request.headers.cookie }, request.origin
    )
    reply.header('set-cookie', cookie)
    return answer
  })
}
export default oidc

const redirect = (reply: FastifyReply, { location, cookie }: { location: string, cookie: string }) =>
  reply.header('set-cookie', cookie).redirect(location)

/** The query as the provider wrote it. */
function queryOf ({ raw: { url = '' } }: FastifyRequest): string {
  const at = url.indexOf('?')
  return at === -1 ? '' : url.slice(at)
}
