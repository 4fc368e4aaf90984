import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Alert, AlertPath, AlertQuery, AlertRule, AlertRulesUpdate } from '../../../schemas/alerts.ts'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import { Type } from '@sinclair/typebox'

const rulesOf = (description: string) => ({
  description, content: { 'application/json': { schema: Type.Array(ref(AlertRule)) } }
})

const alerts: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'alerts:read' },
    schema: {
      operationId: 'listAlerts',
      tags: ['Alerts'],
      summary: 'List alerts',
      description:
        'Returns the alerts of the scope that are firing or resolved, the latest first. Resolved alerts are kept for ' +
          'ALERT_RETENTION_DAYS, and at most 1,000 of them in a scope. Subscribe to `system.alert` to get each change.',
      querystring: AlertQuery,
      response: { 200: pageOf(Alert, 'A page of alerts.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.alerts.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/:id/acknowledge', {
    config: { permission: 'alerts:update' },
    schema: {
      operationId: 'acknowledgeAlert',
      tags: ['Alerts'],
      summary: 'Acknowledge an alert',
      description:
        'Records that you take care of a firing alert. The alert stays firing until its condition no longer holds. ' +
          'Only the first acknowledgement counts: a later one changes nothing and returns the alert. An alert that ' +
          'was resolved before is refused with 409 `ALERT_RESOLVED`. An acknowledgement is no event.',
      params: AlertPath,
      response: { 200: ref(Alert, 'The alert.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => app.alerts.acknowledge(request.scope, request.params.id, request.origin))

  app.get('/rules', {
    config: { permission: 'alerts:read' },
    schema: {
      operationId: 'listAlertRules',
      tags: ['Alerts'],
      summary: 'List the rules of alerts',
      description:
        'Returns all rules with the settings of the scope. Each rule has defaults, and is enabled by default.',
      response: { 200: rulesOf('All rules.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.alertRules.list(request.scope))

  app.put('/rules', {
    config: { permission: 'alerts:update' },
    schema: {
      operationId: 'updateAlertRules',
      tags: ['Alerts'],
      summary: 'Change rules of alerts',
      description:
        'Changes the named fields of the named rules in the scope, all or none, and returns all rules. It takes ' +
          'effect at the next evaluation. A disabled rule resolves its firing alerts, with the resolution ' +
          '`rule_disabled`.',
      body: ref(AlertRulesUpdate),
      response: { 200: rulesOf('All rules, as they are now.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => app.alertRules.update(request.scope, request.body, request.origin))
}
export default alerts
