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
  Setup,
  SetupStatus
} from '../../../schemas/auth.ts'
import { ref, refusals } from '../../../schemas/common.ts'
import { InviteAccept } from '../../../schemas/people.ts'

/** A network's. An office behind one address logs in with ease; somebody who guesses at many accounts does not. */
const loginLimit = { max: 20, timeWindow: 60_000 }

const auth: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/setup-status', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getSetupStatus',
      tags: ['Auth'],
      summary: 'Is there a first user?',
      description: 'While there is none, `POST /api/auth/setup` makes it.',
      response: { 200: ref(SetupStatus, 'Whether it is still to be made.'), ...refusals() }
    }
  }, async () => ({ setupRequired: await app.auth.setup.isRequired() }))

  app.post('/setup', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'setup',
      tags: ['Auth'],
      summary: 'Make the first user',
      description:
        'A super_admin, once, who is logged in with it. From elsewhere than loopback, and by a proxy, it needs the ' +
          'one-time `setupToken` that is printed at start.',
      body: ref(Setup),
      response: { 201: ref(LoginAnswer), ...refusals(400, 403, 413, 415) }
    }
  }, async (request, reply) => {
    const user = await app.auth.setup.run(request.body, {
      socketAddress: request.raw.socket.remoteAddress,
      httpVersion: request.raw.httpVersion,
      headers: request.headers,
      origin: request.origin
    })
    return reply.code(201).send(await app.auth.login.enterFirst(user, request.origin))
  })

  app.post('/login', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'login',
      tags: ['Auth'],
      summary: 'Log in',
      description:
        'Answers a session token, or, to a user with a second factor, an `mfaToken` for `POST ' +
          '/api/auth/mfa/verify`. Limited by address, and by account: after a few failures in a row each attempt must ' +
          'wait longer. An unknown address is answered like a wrong password.',
      body: ref(Login),
      response: { 200: ref(LoginOutcome, 'A session, or the question for a code.'), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => app.auth.login.login(request.body, request.origin))

  app.post('/mfa/verify', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'verifyMfa',
      tags: ['Auth'],
      summary: 'Show the second factor',
      description:
        'With a code of the authenticator app, or a recovery code. Each works once; after a few wrong ones each ' +
          'attempt must wait longer.',
      body: ref(MfaVerify),
      response: { 200: ref(LoginAnswer), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => app.auth.login.verifyCode(request.body, request.origin))

  app.post('/forgot-password', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'forgotPassword',
      tags: ['Auth'],
      summary: 'Ask for a new password',
      description:
        'Mails a link to the user of the address, at most once a minute. The answer is the same whether there is ' +
          'one or not.',
      body: ref(ForgotPassword),
      response: {
        202: { type: 'null', description: 'If the address has a user, a mail is on its way.' },
        ...refusals(400, 413, 415)
      }
    }
  }, async (request, reply) => {
    await app.passwordResets.request(request.body.email, request.origin)
    return reply.code(202).send(undefined as unknown as null)
  })

  app.post('/reset-password', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'resetPassword',
      tags: ['Auth'],
      summary: 'Set a new password',
      description:
        'With the token of the mail, which works once and for an hour. Every session of the user ends. A second ' +
          'factor stays.',
      body: ref(ResetPassword),
      response: { 204: { type: 'null', description: 'Log in with it.' }, ...refusals(400, 403, 413, 415) }
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
        'Makes the user and logs them in. Where the address has a user already, the password must be theirs, and ' +
          'the role is added.',
      body: ref(InviteAccept),
      response: {
        201: ref(LoginOutcome, 'A session, or the question for a code.'),
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
      summary: 'List my sessions',
      description: 'Those of the user who asks, last used first. A token has none.',
      response: { 200: Type.Array(ref(SessionInfo), { description: 'The open sessions.' }), ...refusals(401, 403) }
    }
  }, async (request) => app.auth.ownSessions.list(request.principal))

  app.delete('/sessions/:id', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'endSession',
      tags: ['Auth'],
      summary: 'End one of my sessions',
      description: 'Its token is dead at once, and its sockets are closed.',
      params: SessionPath,
      response: { 204: { type: 'null', description: 'The session is over.' }, ...refusals(400, 401, 404) }
    }
  }, async (request, reply) => {
    await app.auth.ownSessions.end(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/logout', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'logout',
      tags: ['Auth'],
      summary: 'Log out',
      description:
        'Ends the session that asks, and closes its sockets. A token cannot log out: it ends by itself, or with its ' +
          'key.',
      response: { 204: { type: 'null', description: 'The session is over.' }, ...refusals(401, 403) }
    }
  }, async (request, reply) => {
    await app.auth.ownSessions.logout(request.principal, request.origin)
    return reply.code(204).send(null)
  })

  app.get('/me', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'getMe',
      tags: ['Auth'],
      summary: 'Who am I?',
      description: 'The user and roles of a session, or the subject and application of a token, with what they may do.',
      response: { 200: ref(Me, 'Who asks.'), ...refusals(401) }
    }
  }, async (request) => app.auth.toMe(request.principal))
}
export default auth
