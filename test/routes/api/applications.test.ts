import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { readableLog } from '../../support/log-lines.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

t.setTimeout(600_000)

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

async function superAdmin (app: FastifyInstance) {
  const { sessionToken, user } = (await app.inject({
    method: 'POST',
    url: '/api/auth/setup',
    payload: { name: 'Ada', email: 'ada@example.com', password: 'a long pass phrase' }
  })).json()
  const request = async (method: Method, url: string, payload?: object, headers: Record<string, string> = {}) => {
    const answer = await app.inject({
      method,
      url,
      headers: { authorization: sessionToken, ...headers },
      ...(payload !== undefined && { payload })
    })
    return {
      status: answer.statusCode, body: answer.body === '' ? undefined : answer.json(),
      cursor: answer.headers['x-next-cursor'] as string | undefined
    }
  }
  return { request, userId: user.id as string }
}

t.test('an application is created, read, changed and deleted', async t => {
  const { app } = await build(t)
  const { request } = await superAdmin(app)
  const created = await request('POST', '/api/applications', { name: 'Shop', description: 'The web shop' })
  t.equal(created.status, 201)
  t.match(created.body, {
    id: /^app_[\w-]+$/, name: 'Shop', description: 'The web shop', createdAt: Number, updatedAt: Number
  })
  const url = `/api/applications/${created.body.id}`
  t.same((await request('GET', url)).body, created.body)
  t.same((await request('GET', '/api/applications')).body, [created.body])
  const changed = await request('PATCH', url, { name: 'Store' })
  t.equal(changed.status, 200)
  t.match(changed.body, { name: 'Store', description: 'The web shop' })
  t.equal((await request('POST', '/api/applications', { name: 'Bare' })).body.description, '')
  t.equal((await request('DELETE', url)).status, 204)
  for (const method of ['GET', 'DELETE'] as const) {
    t.match(await request(method, url), { status: 404, body: { code: 'APPLICATION_NOT_FOUND' } })
  }
  t.match(await request('PATCH', url, { name: 'x' }), { status: 404 })
})

t.test('malformed requests are 400', async t => {
  const { app } = await build(t)
  const { request } = await superAdmin(app)
  const { applicationId } = await tenant(app)
  for (
    const body of [
      {}, { name: '' }, { name: 7 }, { name: 'a\0' }, { name: 'x'.repeat(201) }, { name: 'x', owner: 'y' },
      { name: 'x', description: null }
    ]
  ) {
    t.equal((await request('POST', '/api/applications', body)).status, 400, JSON.stringify(body).slice(0, 60))
  }
  for (const body of [{}, { name: '' }, { id: 'app_x' }]) {
    t.equal((await request('PATCH', `/api/applications/${applicationId}`, body)).status, 400, JSON.stringify(body))
  }
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'cursor=WzFd', 'page=2']) {
    t.equal((await request('GET', `/api/applications?${query}`)).status, 400, query)
  }
  for (const id of ['x', 'app_', 'app_%00', 'app_a.b', `app_${'x'.repeat(80)}`]) {
    t.equal((await request('GET', `/api/applications/${id}`)).status, 400, id)
  }
  t.equal((await request('DELETE', `/api/applications/${applicationId}?force=maybe`)).status, 400)
})

t.test('pages list each application once, oldest first', async t => {
  const { app } = await build(t)
  const { request } = await superAdmin(app)
  for (let i = 0; i < 7; i++) {
    await app.db.insertInto('applications').values({
      id: `app_${i}`,
      name: 'x',
      description: '',
      created_at: i < 5 ? 1000 : 500,
      updated_at: 0
    }).execute()
  }
  const seen: string[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const page = await request('GET', `/api/applications?limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`)
    seen.push(...page.body.map((application: { id: string }) => application.id))
    cursor = page.cursor
    pages++
  } while (cursor !== undefined)
  t.same(seen, ['app_5', 'app_6', 'app_0', 'app_1', 'app_2', 'app_3', 'app_4'])
  t.equal(pages, 3)
})

t.test('a token sees its own application, and any other is 404', async t => {
  const { app } = await build(t)
  const own = await tenant(app)
  const other = await tenant(app)
  const list = await own.request('GET', '/api/applications')
  t.same((list.body as { id: string }[]).map(application => application.id), [own.applicationId])
  t.equal((await own.request('GET', `/api/applications/${own.applicationId}`)).status, 200)
  const strange = `/api/applications/${other.applicationId}`
  const missing = (await own.request('GET', '/api/applications/app_none')).text.replace('app_none', '*')
  for (const [method, body] of [['GET'], ['PATCH', { name: 'x' }], ['DELETE']] as const) {
    const answer = await own.request(method, strange, body)
    t.equal(answer.status, 404, method)
    t.equal(answer.text.replace(other.applicationId, '*'), missing, 'as if it did not exist')
  }
  t.equal((await other.request('GET', strange)).status, 200, 'it is unchanged')
  for (const permissions of [['client'], ['service'], ['topics:read']]) {
    const weak = await tenant(app, { permissions })
    t.match(await weak.request('GET', '/api/applications'), { status: 403, body: { code: 'PERMISSION_DENIED' } })
  }
})

t.test('a session sees the applications of its roles', async t => {
  const { app } = await build(t)
  const { request, userId } = await superAdmin(app)
  const [a, b] = [await tenant(app), await tenant(app)]
  await app.db.updateTable('role_assignments').set({ role_id: 'role_editor', application_id: a.applicationId }).where(
    'user_id', '=', userId
  ).execute()
  t.same((await request('GET', '/api/applications')).body.map((application: { id: string }) => application.id), [
    a.applicationId
  ])
  t.equal((await request('GET', `/api/applications/${a.applicationId}`)).status, 200)
  t.equal((await request('PATCH', `/api/applications/${a.applicationId}`, { name: 'x' })).status, 403)
  t.equal((await request('DELETE', `/api/applications/${a.applicationId}`)).status, 403)
  t.equal((await request('GET', `/api/applications/${b.applicationId}`)).status, 404)
  t.equal((await request('POST', '/api/applications', { name: 'x' })).status, 403)
  t.match(await request('GET', '/api/topics', undefined, { 'x-application-id': a.applicationId }), { status: 200 })
  t.match(await request('GET', '/api/topics', undefined, { 'x-application-id': b.applicationId }), {
    status: 403, body: { code: 'APPLICATION_FORBIDDEN' }
  })
  t.match(await request('GET', '/api/topics'), { status: 400, body: { code: 'APPLICATION_REQUIRED' } })
})

t.test('an application that owns data is deleted by force only, with all of its data', async t => {
  const { app } = await build(t)
  const { request } = await superAdmin(app)
  const doomed = await tenant(app)
  const spared = await tenant(app)
  for (const owner of [doomed, spared]) {
    await owner.publish(await owner.topic('order.created'), { n: 1 }, { n: 2 })
    t.equal(
      (await owner.request('POST', '/api/sync/session/documents', { data: { a: 1 } }, { 'idempotency-key': 'k' }))
        .status,
      201
    )
    t.equal((await owner.request('DELETE', `/api/applications/${owner.applicationId}`)).status, 409)
  }
  const url = `/api/applications/${doomed.applicationId}`
  t.match(await request('DELETE', url), {
    status: 409, body: { error: 'ConflictError', code: 'APPLICATION_NOT_EMPTY' }
  })
  t.equal((await doomed.request('GET', '/api/topics')).status, 200, 'a refused delete changes nothing')

  const deleted: string[] = []
  app.applications.onDeleted(id => deleted.push(id))
  t.equal((await request('DELETE', `${url}?force=true`)).status, 204)
  t.same(deleted, [doomed.applicationId])
  const counts = async (applicationId: string) =>
    Promise.all(
      (['topics', 'topic_logs', 'events', 'services', 'documents', 'idempotency_keys'] as const).map(async table =>
        (await app.db.selectFrom(table).select('application_id').where('application_id', '=', applicationId).execute())
          .length
      )
    )
  t.same(await counts(doomed.applicationId), [0, 0, 0, 0, 0, 0])
  t.ok((await counts(spared.applicationId)).every(count => count > 0), 'another application keeps its data')
  t.equal((await doomed.request('GET', '/api/topics')).status, 401, 'its tokens are invalid')
  t.match(await request('GET', '/api/topics', undefined, { 'x-application-id': doomed.applicationId }), { status: 404 })
})

t.test('a deletion takes effect at its commit, even if follow-up work fails', async t => {
  const log = readableLog()
  const { app } = await build(t, { logger: log.logger })
  const { request } = await superAdmin(app)
  const doomed = await tenant(app)
  await doomed.publish(await doomed.topic('order.created'), 1)
  const client = await connectWs(await listen(app), { token: doomed.token() })
  const deleted: string[] = []
  app.applications.onDeleted(() => { throw new Error('a listener that throws') })
  app.applications.onDeleted(async () => { throw new Error('a listener that rejects') })
  app.applications.onDeleted(id => deleted.push(id))
  let finish = () => {}
  const finished = new Promise<void>(resolve => { finish = resolve })
  app.applications.registerData({ delete: async () => async () => { throw new Error('a deletion that fails') } })
  app.applications.registerData({ delete: async () => () => finished })

  let isAnswered = false
  const deleting = request('DELETE', `/api/applications/${doomed.applicationId}?force=true`)
    .finally(() => { isAnswered = true })
  t.match(await client.closed, { reason: /application/i })
  t.same(deleted, [doomed.applicationId], 'listeners after a failing one are called')
  t.equal((await doomed.request('GET', '/api/topics')).status, 401)
  t.notOk(isAnswered, 'the rest of the data is still being deleted')
  finish()
  t.equal((await deleting).status, 204)
  t.same(
    log.lines().filter(({ msg }) => msg.startsWith('application.')).map(({ msg }) => msg).sort(),
    [
      'application.data_left_behind', 'application.deletion_listener_failed', 'application.deletion_listener_failed'
    ]
  )
})

t.test('a deletion takes effect on other nodes within two seconds', async t => {
  const databaseUrl = await createDatabase(t)
  const { app: a } = await build(t, { databaseUrl })
  const { app: b } = await build(t, { databaseUrl })
  const { applicationId, token, request } = await tenant(a)
  const headers = { authorization: `Bearer ${token()}` }
  t.equal((await b.inject({ url: '/api/topics', headers })).statusCode, 200)
  t.equal((await request('DELETE', `/api/applications/${applicationId}`)).status, 204)
  await until(
    async () => (await b.inject({ url: '/api/topics', headers })).statusCode === 401, 'the other node to refuse it'
  )
})

t.test('a forced deletion and the writer do not block each other', async t => {
  const { app } = await build(t)
  const { request } = await superAdmin(app)
  const doomed = await tenant(app)
  const topic = await doomed.topic('order.created')
  const deletion = new AbortController()
  const writing = Promise.all(Array.from({ length: 8 }, async (_, lane) => {
    const statuses = new Set<number>()
    for (let i = 0; !deletion.signal.aborted; i++) {
      // A refusal needs no I/O: without this, the injected requests would keep the deletion from running.
      await setImmediate()
      statuses.add((await doomed.request('POST', `/api/topics/${topic}/events`, { payload: { i } })).status)
      statuses.add(
        (await doomed.request('POST', '/api/sync/session/documents', { id: `doc_${lane}_${i}`, data: { i } })).status
      )
    }
    return [...statuses]
  }))
  await until(
    async () => (await app.db.selectFrom('events').select('id').where(
      'application_id', '=', doomed.applicationId
    ).execute()).length > 50,
    'writes'
  )
  t.equal((await request('DELETE', `/api/applications/${doomed.applicationId}?force=true`)).status, 204)
  deletion.abort()
  const statuses = new Set((await writing).flat())
  for (const status of statuses) t.ok([201, 401, 404].includes(status), String(status))
  for (const table of ['topics', 'topic_logs', 'events', 'services', 'documents'] as const) {
    t.same(
      await app.db.selectFrom(table).select('application_id').where('application_id', '=', doomed.applicationId)
        .execute(),
      [],
      table
    )
  }
})
