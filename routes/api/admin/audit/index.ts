import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AuditEntry, AuditQuery } from '../../../../schemas/audit.ts'
import { pageOf, refusals } from '../../../../schemas/common.ts'

const audit: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'audit:read' },
    schema: {
      operationId: 'listAuditEntries',
      tags: ['Audit'],
      summary: 'Who changed what, when, from where?',
      description:
        'Newest first. Whoever may read it for some applications only, and a token, sees the entries of those. ' +
          'Entries are written with the change that they tell of, and never changed.',
      querystring: AuditQuery,
      response: {
        200: pageOf(AuditEntry, 'A page of entries.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.auditLog.list(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })
}
export default audit
