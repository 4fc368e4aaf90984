import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Login, LoginAnswer, Me, Setup, SetupStatus } from '../../../schemas/auth.ts'
import { ref, refusals } from '../../../schemas/common.ts'

/** An office behind one address logs in with ease; somebody who guesses at many accounts does not. */
const loginLimit = { max: 20, timeWindow: 60_000, keyGenerator: (request: FastifyRequest) => request.ip }

const visitorOf = (request: FastifyRequest) => ({ address: request.ip, userAgent: request.headers['user-agent'] })

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
      description: 'A super_admin, once, who is logged in with it. From elsewhere than loopback it needs the one-time `setupToken` that is printed at start.',
      body: ref(Setup),
      response: { 201: ref(LoginAnswer), ...refusals(400, 403, 413, 415) }
    }
  }, async (request, reply) => {
    const user = await app.auth.setup.run(request.body, { socketAddress: request.raw.socket.remoteAddress, headers: request.headers })
    const { token } = await app.auth.sessions.create(user.id, visitorOf(request))
    return reply.code(201).send({ sessionToken: token, user })
  })

  app.post('/login', {
    config: { permission: 'public', rateLimit: loginLimit },
    schema: {
      operationId: 'login',
      tags: ['Auth'],
      summary: 'Log in',
      description: 'Answers a session token. Limited by address, and by account: after a few failures in a row each attempt must wait longer. An unknown address is answered like a wrong password.',
      body: ref(Login),
      response: { 200: ref(LoginAnswer), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => app.auth.login(request.body, visitorOf(request)))

  app.post('/logout', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'logout',
      tags: ['Auth'],
      summary: 'Log out',
      description: 'Ends the session that asks, and closes its sockets. A token cannot log out: it ends by itself, or with its key.',
      response: { 204: { type: 'null', description: 'The session is over.' }, ...refusals(401, 403) }
    }
  }, async (request, reply) => {
    await app.auth.logout(request.principal)
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
