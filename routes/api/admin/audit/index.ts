import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AuditEntry, AuditQuery } from '../../../../schemas/audit.ts'
import { pageOf, refusals } from '../../../../schemas/common.ts'

const audit: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'audit:read' },
    schema: {
      operationId: 'listAuditEntries',
      tags: ['Audit'],
      summary: 'List audit entries',
      description:
        'Returns who changed what, when and from where. A token, and a user with `audit:read` for ' +
          'some applications only, see the entries of those applications. Entries are written in the ' +
          'transaction of the change and cannot be changed.',
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
