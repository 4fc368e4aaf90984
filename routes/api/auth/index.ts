import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  ForgotPassword,
  Login,
  LoginAnswer,
  LoginOutcome,
  Me,
  MfaVerify,
  ResetPassword,
  SessionInfo,
  SessionPath,
  SessionQuery,
  Setup,
  SetupStatus
} from '../../../schemas/auth.ts'
import { ApiKey, ApiKeyPath, ApiKeyQuery } from '../../../schemas/api-keys.ts'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import { SignInMethods } from '../../../schemas/oidc.ts'
import { InviteAccept } from '../../../schemas/people.ts'

/** Attempts a minute and network: enough for an office behind one address, too few for guessing at many accounts. */
const loginLimit = { max: 20, timeWindow: 60_000 }

const auth: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/setup-status', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getSetupStatus',
      tags: ['Auth'],
      summary: 'Get the setup status',
      description:
        'Returns whether the platform still has no super_admin. If so, create one with `POST /api/auth/setup`.',
      response: { 200: ref(SetupStatus, 'The setup status.'), ...refusals() }
    }
  }, async () => ({ setupRequired: await app.setup.isRequired() }))

  app.get('/methods', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getSignInMethods',
      tags: ['Auth'],
      summary: 'Get the ways to sign in',
      description: 'Returns what a sign-in page offers: passwords, the identity provider, or the setup.',
      response: { 200: ref(SignInMethods, 'The ways to sign in.'), ...refusals() }
    }
  }, async () => app.signInMethods.describe(await app.setup.isRequired()))

  app.post('/setup', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'setup',
      tags: ['Auth'],
      summary: 'Create the first user',
      description:
        'Creates the first super_admin and logs them in. Works once. From another machine, or through a proxy, it ' +
          'requires the one-time `setupToken` that the server prints at start.',
      body: ref(Setup),
      response: { 201: ref(LoginAnswer), ...refusals(400, 403, 413, 415) }
    }
  }, async (request, reply) => {
    const user = await app.setup.run(request.body, {
      socketAddress: request.raw.socket.remoteAddress,
      httpVersion: request.raw.httpVersion,
      headers: request.headers,
      origin: request.origin
    })
    return reply.code(201).send(await app.login.enterFirst(user, request.origin))
  })

  app.post('/login', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'login',
      tags: ['Auth'],
      summary: 'Log in',
      description:
        'Returns a session token or, for a user with a second factor, an `mfaToken` for `POST ' +
          '/api/auth/mfa/verify`. Attempts are limited by address and by account: after a few failures, each ' +
          'further one doubles the delay before the next attempt. An unknown address gets the same response as a ' +
          'wrong password.',
      body: ref(Login),
      response: { 200: ref(LoginOutcome, 'A session, or a challenge for a code.'), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => app.login.login(request.body, request.origin))

  app.post('/mfa/verify', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'verifyMfa',
      tags: ['Auth'],
      summary: 'Verify the second factor',
      description:
        'Opens the session with a code of the authenticator app or a recovery code. Each code works once. After a ' +
          'few wrong codes, each further one doubles the delay before the next attempt.',
      body: ref(MfaVerify),
      response: { 200: ref(LoginAnswer), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => app.login.verifyCode(request.body, request.origin))

  app.post('/forgot-password', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'forgotPassword',
      tags: ['Auth'],
      summary: 'Request a password reset',
      description:
        'Mails a link to the user of the address, at most once a minute. The response is the same whether the ' +
          'address has a user or not.',
      body: ref(ForgotPassword),
      response: {
        202: Type.Unsafe<undefined>({ type: 'null', description: 'If the address has a user, a mail is sent.' }),
        ...refusals(400, 413, 415)
      }
    }
  }, async (request, reply) => {
    await app.passwordResets.request(request.body.email, request.origin)
    return reply.code(202).send()
  })

  app.post('/reset-password', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'resetPassword',
      tags: ['Auth'],
      summary: 'Set a new password',
      description:
        'Sets a new password with the token of the mail, which works once within an hour. Ends every ' +
          'session of the user, and revokes their API keys unless `revokeApiKeys` is false. A second factor stays ' +
          'enabled.',
      body: ref(ResetPassword),
      response: {
        204: {
          type: 'null', description:
        'The password is changed. Log in with it.'
        }, ...refusals(400, 403, 413, 415)
      }
    }
  }, async (request, reply) => {
    await app.passwordResets.reset(request.body, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/accept-invite', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'acceptInvite',
      tags: ['Auth'],
      summary: 'Accept an invite',
      description:
        'Creates the user and logs them in. If the address already has a user, the password must be theirs, and ' +
          'the role is added.',
      body: ref(InviteAccept),
      response: {
        201: ref(LoginOutcome, 'A session, or a challenge for a code.'),
        ...refusals(400, 401, 403, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.invites.accept(request.body, request.origin)
  })

  app.get('/sessions', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'listSessions',
      tags: ['Auth'],
      summary: 'List your sessions',
      description: 'Returns the open sessions of the calling user. A token has no sessions.',
      querystring: SessionQuery,
      response: { 200: pageOf(SessionInfo, 'A page of sessions.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.account.sessions(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.delete('/sessions/:id', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'endSession',
      tags: ['Auth'],
      summary: 'End one of your sessions',
      description: 'Ends a session of the calling user at once and closes its sockets.',
      params: SessionPath,
      response: { 204: { type: 'null', description: 'The session has ended.' }, ...refusals(400, 401, 404) }
    }
  }, async (request, reply) => {
    await app.account.endSession(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })

  app.get('/api-keys', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'listOwnApiKeys',
      tags: ['Auth'],
      summary: 'List your API keys',
      description:
        'Returns the API keys that the calling user has created, in all applications. It requires no ' +
          'permission, so that nobody has to keep a key that they no longer trust. A token and an API key are ' +
          'refused with 403 `SESSION_REQUIRED`.',
      querystring: ApiKeyQuery,
      response: { 200: pageOf(ApiKey, 'A page of API keys.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.apiKeyAdmin.listOwn(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.delete('/api-keys/:id', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'revokeOwnApiKey',
      tags: ['Auth'],
      summary: 'Revoke one of your API keys',
      description: 'Deletes an API key that the calling user has created, as `DELETE /api/api-keys/:id` does.',
      params: ApiKeyPath,
      response: { 204: { type: 'null', description: 'The key is revoked.' }, ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    await app.apiKeyAdmin.revokeOwn(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/logout', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'logout',
      tags: ['Auth'],
      summary: 'Log out',
      description:
        'Ends the session of the request and closes its sockets. A token cannot log out: it is valid until it ' +
          'expires or its signing key is revoked.',
      response: { 204: { type: 'null', description: 'The session has ended.' }, ...refusals(401, 403) }
    }
  }, async (request, reply) => {
    await app.account.logout(request.principal, request.origin)
    return reply.code(204).send(null)
  })

  app.get('/me', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'getMe',
      tags: ['Auth'],
      summary: 'Get the caller',
      description:
        'Returns the user and roles of a session, or the subject and application of a token, with their permissions.',
      response: { 200: ref(Me, 'The caller.'), ...refusals(401) }
    }
  }, async (request) => app.account.me(request.principal))
}
export default auth
