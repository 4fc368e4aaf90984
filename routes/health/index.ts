import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../schemas/common.ts'
import { Health, Readiness } from '../../schemas/health.ts'

/** A server that sheds load lives: whoever ended it would have its load meet the others. */
const answersAnyway = () => {}

const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'public', pressureHandler: answersAnyway },
    schema: {
      operationId: 'getHealth',
      tags: ['Health'],
      summary: 'Does the process live?',
      description: 'For liveness probes, with the version that runs. It does not look at the database.',
      response: { 200: ref(Health, 'It lives.'), ...refusals() }
    }
  }, async () => app.health.liveness())

  app.get('/ready', {
    config: { permission: 'public', pressureHandler: answersAnyway },
    schema: {
      operationId: 'getReadiness',
      tags: ['Health'],
      summary: 'Can it serve?',
      description: 'For readiness probes: every component with its state; 503 while one has failed.',
      response: {
        200: ref(Readiness, 'Every component is well.'),
        ...refusals(),
        503: ref(Readiness, 'A component has failed.')
      }
    }
  }, async (_request, reply) => {
    const readiness = await app.health.readiness()
    return reply.code(readiness.status === 'ready' ? 200 : 503).send(readiness)
  })
}
export default health
