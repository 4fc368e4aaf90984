import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../schemas/common.ts'
import { Health, Readiness } from '../../schemas/health.ts'

/** Health checks work while the server refuses requests: if it were restarted, the other nodes would get its load. */
const answersAnyway = () => {}

const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'public', pressureHandler: answersAnyway },
    schema: {
      operationId: 'getHealth',
      tags: ['Health'],
      summary: 'Check liveness',
      description: 'For liveness probes. Returns the running version. Does not check the database.',
      response: { 200: ref(Health, 'The process runs.'), ...refusals() }
    }
  }, async () => app.health.liveness())

  app.get('/ready', {
    config: { permission: 'public', pressureHandler: answersAnyway },
    schema: {
      operationId: 'getReadiness',
      tags: ['Health'],
      summary: 'Check readiness',
      description: 'For readiness probes. Returns the state of every component, with 503 if one has failed.',
      response: {
        200: ref(Readiness, 'No component has failed.'),
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
