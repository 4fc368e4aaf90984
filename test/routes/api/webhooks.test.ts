import t from 'tap'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'

t.setTimeout(600_000)

const { app } = await build(t)
const mine = await tenant(app)
const others = await tenant(app)
const { request } = mine
const target = { url: 'https://hooks.example.test/in', events: ['document.updated', 'database.event'] }
const create = async (fields: Record<string, unknown> = {}) =>
  (await request('POST', '/api/webhooks', { ...target, ...fields })).body

await t.test('a webhook is created, listed, read, changed, deactivated, activated and deleted', async t => {
  const created = await request('POST', '/api/webhooks', target)
  t.equal(created.status, 201)
  const { secret, ...webhook } = created.body
  t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.match(webhook, {
    id: /^wh_/,
    ...target,
    topics: null,
    filter: null,
    environments: null,
    ordering: 'none',
    rateLimit: null,
    description: null,
    active: true,
    applicationId: mine.applicationId,
    failingSince: null,
    createdAt: Number
  })
  const url = `/api/webhooks/${webhook.id}`
  t.strictSame((await request('GET', url)).body, webhook, 'without its secret')
  t.strictSame(
    (await request('GET', url, undefined, { 'x-environment': 'production' })).body, webhook,
    'the webhook belongs to all environments'
  )
  t.strictSame((await request('GET', '/api/webhooks')).body, [webhook])
  const changes = {
    url: 'https://hooks.example.test/other',
    events: ['*'],
    topics: ['order.*', 'a.b'],
    filter: { kind: 'big' },
    environments: ['staging'],
    ordering: 'key',
    rateLimit: 10,
    description: 'd'
  }
  t.match(await request('PATCH', url, changes), { status: 200, body: { ...webhook, ...changes, updatedAt: Number } })
  const back = { topics: null, filter: null, environments: null, rateLimit: null, description: null }
  t.match((await request('PATCH', url, back)).body, { ...back, events: ['*'], ordering: 'key' })
  t.match(await request('POST', `${url}/deactivate`), { status: 200, body: { active: false, deactivatedReason: null } })
  t.match(await request('POST', `${url}/deactivate`), { status: 200, body: { active: false } })
  t.match(await request('POST', `${url}/activate`), { status: 200, body: { active: true } })
  t.match((await request('DELETE', url)).status, 204)
  for (
    const [method, path, body] of [
      ['GET', '', undefined], ['PATCH', '', { events: ['*'] }], ['DELETE', '', undefined],
      ['POST', '/activate', undefined], ['POST', '/deactivate', undefined], ['POST', '/test', undefined],
      ['POST', '/rotate-secret', {}]
    ] as const
  ) {
    t.match(await request(method, url + path, body), {
      status: 404, body: { error: 'NotFoundError', code: 'WEBHOOK_NOT_FOUND' }
    }, `${method} ${path}`)
  }
})

await t.test('a generated secret is returned once and never again', async t => {
  const given = 'a-secret-that-was-given'
  const created = await request('POST', '/api/webhooks', { ...target, secret: given })
  t.notOk(created.text.includes(given))
  const url = `/api/webhooks/${created.body.id}`
  const rotated = (await request('POST', `${url}/rotate-secret`, {})).body.secret
  await request('POST', `${url}/rotate-secret`, { secret: 'another-that-was-given' })
  const test = await request('POST', `${url}/test`)
  t.match(test.body, { success: false, error: String })
  const { rows } = await app.pool.query('select row_to_json(w)::text as row from webhooks w')
  for (
    const text of [
      (await request('GET', url)).text, (await request('GET', '/api/webhooks')).text,
      (await request('GET', '/api/webhooks/logs')).text, test.text, JSON.stringify(rows)
    ]
  ) {
    for (const secret of [given, rotated, 'another-that-was-given']) t.notOk(text.includes(secret))
  }
  t.match(await request('POST', `${url}/rotate-secret`, { secret: 'whsec_short' }), {
    status: 400,
    body: { details: [{ path: '/secret' }] }
  })
})

await t.test('malformed input is rejected with its path', async t => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ url: 'ftp://example.com' }, /\/url/],
    [{ url: 'nonsense' }, /\/url/],
    [{ events: [] }, /\/events/],
    [{ events: ['order.placed'] }, /\/events/],
    [{ events: ['*', '*'] }, /\/events/],
    [{ topics: ['a..b'] }, /\/topics\/0/],
    [{ topics: ['a.**.b'] }, /\/topics\/0/],
    [{ filter: { a: { near: 1 } } }, /\/filter\/a\/near/],
    [{ environments: ['moon'] }, /\/environments/],
    [{ ordering: 'topic' }, /\/ordering/],
    [{ rateLimit: 0 }, /\/rateLimit/],
    [{ secret: 'short' }, /\/secret/],
    [{ active: true }, /\/active/]
  ]
  for (const [fields, path] of wrong) {
    t.match(await request('POST', '/api/webhooks', { ...target, ...fields }), {
      status: 400, body: { error: 'ValidationError', details: [{ path }] }
    }, JSON.stringify(fields))
  }
  t.match(await request('PATCH', `/api/webhooks/${(await create()).id}`, {}), { status: 400 })
})

await t.test('lists are paged', async t => {
  const shop = await tenant(app)
  const ids: string[] = []
  for (let i = 0; i < 3; i++) ids.push((await shop.request('POST', '/api/webhooks', target)).body.id)
  const first = await shop.request('GET', '/api/webhooks?limit=2')
  const second = await shop.request('GET', `/api/webhooks?limit=2&cursor=${String(first.headers['x-next-cursor'])}`)
  t.strictSame([...first.body, ...second.body].map(({ id }: { id: string }) => id), ids)
  t.equal(second.headers['x-next-cursor'], undefined)
  await shop.request('PATCH', `/api/webhooks/${ids[0]}`, { events: ['topic.event'] })
  const topic = await shop.topic('order.placed')
  await shop.publish(topic, ...Array.from({ length: 5 }, (_, n) => n))
  const offsets: number[] = []
  for (let cursor = ''; ;) {
    const page = await shop.request('GET', `/api/webhooks/deliveries?limit=2&event=topic.event${cursor}`)
    offsets.push(...page.body.map(({ offset }: { offset: number }) => offset))
    if (page.headers['x-next-cursor'] === undefined) break
    cursor = `&cursor=${String(page.headers['x-next-cursor'])}`
  }
  t.strictSame(offsets, [5, 4, 3, 2, 1], 'newest first')
})

await t.test('webhooks and deliveries of another application are 404', async t => {
  const { id } = await create({ events: ['topic.event'] })
  const topic = await mine.topic('order.placed')
  await mine.publish(topic, 1)
  const [delivery] = (await request('GET', `/api/webhooks/deliveries?webhookId=${id}`)).body
  for (
    const [method, path, body] of [
      ['GET', id, undefined],
      ['PATCH', id, { events: ['*'] }],
      ['DELETE', id, undefined],
      ['POST', `${id}/activate`, undefined],
      ['POST', `${id}/test`, undefined],
      ['POST', `${id}/rotate-secret`, {}],
      ['POST', `deliveries/${delivery.id}/retry`, undefined]
    ] as const
  ) {
    t.equal((await others.request(method, `/api/webhooks/${path}`, body)).status, 404, path)
  }
  t.equal((await others.request('POST', '/api/webhooks/redrive', { webhookId: id })).status, 404)
  for (const list of ['', '/deliveries', '/logs']) {
    t.strictSame((await others.request('GET', `/api/webhooks${list}`)).body, [])
  }
})

await t.test('a token that is pinned to an environment has webhooks of that environment only', async t => {
  const token =
    app.tokens.mint({
      subject: 'pinned', applicationId: mine.applicationId, permissions: ['admin'], environment: 'staging',
      expiresInS: undefined
    }).token
  const pinned = { authorization: `Bearer ${token}` }
  const everywhere = await create()
  t.equal((await request('GET', `/api/webhooks/${everywhere.id}`, undefined, pinned)).status, 404)
  t.match(await request('POST', '/api/webhooks', { ...target, environments: ['staging', 'production'] }, pinned), {
    status: 403, body: { code: 'ENVIRONMENT_FORBIDDEN' }
  })
  const own = await request('POST', '/api/webhooks', target, pinned)
  t.match(own, { status: 201, body: { environments: ['staging'] } })
  t.match(await request('PATCH', `/api/webhooks/${own.body.id}`, { environments: null }, pinned), { status: 403 })
  t.strictSame((await request('GET', '/api/webhooks', undefined, pinned)).body.map(({ id }: { id: string }) => id), [
    own.body.id
  ])

  const staging = { 'x-environment': 'staging' }
  await request('POST', '/api/topics', { name: 'order.paid', description: 'd', owner: 'o' }, staging)
  for (const { id } of [everywhere, own.body]) {
    await request('PATCH', `/api/webhooks/${id}`, { events: ['topic.event'], topics: ['order.paid'] })
  }
  await request('POST', '/api/topics/order.paid/events', { payload: 1 }, staging)
  const owed = (await request('GET', '/api/webhooks/deliveries?event=topic.event')).body.filter((
    { topic }: { topic: string }
  ) => topic === 'order.paid')
  const foreign = owed.find(({ webhookId }: { webhookId: string }) => webhookId === everywhere.id)
  for (const { id } of [everywhere, own.body]) {
    await request('POST', `/api/webhooks/${id}/test`, undefined, staging)
    await app.pool.query("update webhook_deliveries set state = 'dead', settled_at = 0 where webhook_id = $1", [id])
  }
  for (const list of ['deliveries', 'logs']) {
    const seen = (await request('GET', `/api/webhooks/${list}`, undefined, pinned)).body.map((
      { webhookId }: { webhookId: string }
    ) => webhookId)
    t.strictSame([...new Set(seen)], [own.body.id], `${list}: deliveries of other webhooks are hidden`)
  }
  t.match(await request('POST', `/api/webhooks/deliveries/${foreign.id}/retry`, undefined, pinned), {
    status: 404,
    body: { code: 'WEBHOOK_DELIVERY_NOT_FOUND' }
  })
  t.match((await request('POST', '/api/webhooks/redrive', { dryRun: true }, pinned)).body, { matched: 1 })
})

await t.test('a caller without a credential or the permission is rejected', async t => {
  t.equal((await app.inject('/api/webhooks')).statusCode, 401)
  const { id } = await create()
  for (const level of ['client', 'service']) {
    t.match(await request('GET', '/api/webhooks', undefined, { authorization: `Bearer ${mine.token([level])}` }), {
      status: 403,
      body: { code: 'PERMISSION_DENIED' }
    })
  }
  const reader = { authorization: `Bearer ${mine.token(['webhooks:read'])}` }
  t.equal((await request('GET', `/api/webhooks/${id}`, undefined, reader)).status, 200)
  for (
    const [method, path, body] of [
      ['POST', '', target],
      ['PATCH', `/${id}`, { events: ['*'] }],
      ['DELETE', `/${id}`, undefined],
      ['POST', `/${id}/test`, undefined],
      ['POST', `/${id}/rotate-secret`, {}],
      ['POST', '/redrive', {}]
    ] as const
  ) {
    t.equal((await request(method, `/api/webhooks${path}`, body, reader)).status, 403, path)
  }
})

await t.test('an application has a limited number of webhooks, and deleting it deletes them', async t => {
  const { app } = await build(t, { adapt: config => { config.webhooks.perApplicationMax = 3 } })
  const shop = await tenant(app)
  const made = await Promise.all(
    Array.from({ length: 6 }, () => shop.request('POST', '/api/webhooks', { ...target, events: ['topic.event'] }))
  )
  t.strictSame(made.map(({ status }) => status).sort(), [201, 201, 201, 409, 409, 409])
  t.match(made.find(({ status }) => status === 409)?.body, { error: 'ConflictError', code: 'WEBHOOK_LIMIT' })
  const empty = await tenant(app)
  await empty.request('POST', '/api/webhooks', target)
  t.match(await empty.request('DELETE', `/api/applications/${empty.applicationId}`), {
    status: 409,
    body: { code: 'APPLICATION_NOT_EMPTY' }
  }, 'a webhook counts as data')
  const topic = await shop.topic('order.placed')
  await shop.publish(topic, 1, 2, 3)
  t.equal((await shop.request('GET', '/api/webhooks/deliveries')).body.length, 9)
  await shop.request('POST', `/api/webhooks/${made.find(({ status }) => status === 201)?.body.id}/test`)
  t.equal((await shop.request('DELETE', `/api/applications/${shop.applicationId}?force=true`)).status, 204)
  for (const table of ['webhooks', 'webhook_versions', 'webhook_deliveries', 'webhook_attempts']) {
    const { rows } = await app.pool.query(`select count(*) from ${table} where application_id = $1`, [
      shop.applicationId
    ])
    t.match(rows, [{ count: 0 }], table)
  }
  const { rows } = await app.pool.query('select count(*) from webhook_outbox')
  t.match(rows, [{ count: 0 }])
})
