import t from 'tap'
import type { Environment } from '../../../schemas/scope.ts'
import { build } from '../../support/build.ts'
import { requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * Data that the environments of an application share. test/identity/access/tenancy.test.ts calls every route with a
 * pinned token.
 */

const { app } = await build(t)
const shop = await tenant(app)
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const tokenOf = (permissions: string[], environment?: Environment) =>
  app.tokens.mint({
    subject: 'tester', applicationId: shop.applicationId, permissions, environment, expiresInS: undefined
  }).token
const asking = (permissions: string[], environment?: Environment) =>
  requests(app, `Bearer ${tokenOf(permissions, environment)}`)
const inProduction = { 'x-environment': 'production' }

await t.test('a pinned token can read services, and cannot create, change or delete them', async t => {
  await shop.request('POST', '/api/sync/session/documents', { id: 'kept', data: {} }, inProduction)
  const { id } = (await shop.request('GET', '/api/services')).body.services[0]
  const pinned = asking(['admin'], 'development')
  t.equal((await pinned.get(`/api/services/${id}`)).status, 200)
  t.equal(outcome(await pinned.post('/api/services', { name: 'other' })), '403 ENVIRONMENT_FORBIDDEN')
  t.equal(outcome(await pinned.patch(`/api/services/${id}`, { description: 'x' })), '403 ENVIRONMENT_FORBIDDEN')
  for (const query of ['', '?force=false', '?force=true']) {
    t.equal(outcome(await pinned.remove(`/api/services/${id}${query}`)), '403 ENVIRONMENT_FORBIDDEN', query)
  }
  t.equal((await shop.request('GET', '/api/sync/session/documents/kept', undefined, inProduction)).status, 200)

  const own = await pinned.post('/api/sync/session/documents', { id: 'mine', data: {} })
  t.equal(own.status, 201, 'it may write documents of its environment')
  t.equal((await pinned.remove('/api/sync/session/documents/mine')).status, 200)

  t.equal(
    outcome(await asking(['services:delete']).remove(`/api/services/${id}?force=true`)),
    '403 PERMISSION_DENIED',
    'force deletes documents, which requires another permission'
  )
  t.equal(outcome(await asking(['services:delete']).remove(`/api/services/${id}`)), '409 SERVICE_NOT_EMPTY')
  t.equal((await asking(['services:delete', 'documents:delete']).remove(`/api/services/${id}?force=true`)).status, 204)
})

await t.test('a pinned token sees the version of a mapping for its environment only', async t => {
  await shop.topic('order.placed')
  const { body: mapping } = await shop.request('POST', '/api/database/mappings', {
    table: 'orders', topic: 'order.placed', events: ['insert']
  })
  t.equal(
    (await shop.request('POST', `/api/database/mappings/${mapping.id}/promote`, { environment: 'development' })).status,
    200
  )
  const grid = async (environment?: Environment) =>
    (await asking(['admin'], environment).get('/api/database/mappings/status')).body[0].environments
  t.same(Object.keys(await grid()), ['development', 'staging', 'production'])
  t.same(Object.keys(await grid('development')), ['development'])
  t.same(Object.keys(await grid('staging')), ['staging'])
  t.equal(
    outcome(
      await asking(['admin'], 'development').post(`/api/database/mappings/${mapping.id}/promote`, {
        environment: 'development'
      })
    ),
    '403 PERMISSION_DENIED'
  )
  t.equal(
    outcome(
      await asking(['admin'], 'development').post(`/api/database/mappings/${mapping.id}/promote?dryRun=true`, {
        environment: 'development'
      })
    ),
    '403 PERMISSION_DENIED'
  )
})

await t.test('the numbers of an environment exclude webhook deliveries of another', async t => {
  const { body: hook } = await shop.request('POST', '/api/webhooks', {
    url: 'https://nobody.example.test/',
    events: ['topic.event']
  })
  await shop.request('POST', '/api/topics', { name: 'order.placed', description: 'd', owner: 'o' }, inProduction)
  await shop.request('POST', '/api/topics/order.placed/events', { payload: {} }, inProduction)
  await shop.request('GET', '/api/webhooks/deliveries')
  await shop.request('POST', `/api/webhooks/${hook.id}/deactivate`)
  await app.db.updateTable('webhook_deliveries').set({ state: 'dead', settled_at: Date.now() }).where(
    'webhook_id', '=', hook.id
  ).execute()
  const dead = async (environment: Environment) =>
    (await asking(['metrics:read'], environment).get('/api/metrics/dashboard')).body.reliability.dlqSize
  t.equal(await dead('production'), 1)
  t.equal(await dead('development'), 0)
})
