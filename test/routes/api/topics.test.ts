import t from 'tap'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'

const { app } = await build(t)
const mine = await tenant(app)
const others = await tenant(app)
const { request } = mine
const described = { description: 'A test', owner: 'tests' }
let registered = 0
const topic = () => mine.topic(`topic.n${++registered}`)

await t.test('a topic is created, listed, read, changed and deleted', async t => {
  const created = await request('POST', '/api/topics', { name: 'session.status', ...described })
  t.equal(created.status, 201)
  t.match(created.body, {
    name: 'session.status',
    ...described,
    activeSchemaVersion: null,
    applicationId: mine.applicationId,
    environment: 'development',
    createdAt: Number
  })
  const url = '/api/topics/session.status'
  t.strictSame((await request('GET', url)).body, created.body)
  t.strictSame((await request('GET', '/api/topics')).body, [created.body])
  t.match(await request('POST', '/api/topics', { name: 'session.status', ...described }), {
    status: 409, body: { error: 'ConflictError', code: 'TOPIC_EXISTS' }
  })
  t.strictSame((await request('PATCH', url, { owner: 'others', activeSchemaVersion: null })).body, {
    ...created.body,
    owner: 'others'
  })
  t.match(await request('PATCH', url, { activeSchemaVersion: 1 }), {
    status: 404, body: { code: 'SCHEMA_VERSION_NOT_FOUND' }
  })
  t.match(await request('DELETE', url), { status: 200, body: { name: 'session.status', owner: 'others' } })
  for (const [method, body] of [['GET', undefined], ['PATCH', { owner: 'x' }], ['DELETE', undefined]] as const) {
    t.match(await request(method, url, body), {
      status: 404, body: { error: 'NotFoundError', message: 'Topic not found: session.status', code: 'TOPIC_NOT_FOUND' }
    })
  }
})

await t.test('lists come in pages', async t => {
  const tenancy = await tenant(app)
  for (const name of ['a', 'b', 'c']) await tenancy.topic(name)
  const first = await tenancy.request('GET', '/api/topics?limit=2')
  const second = await tenancy.request('GET', `/api/topics?limit=2&cursor=${String(first.headers['x-next-cursor'])}`)
  t.match([first.body, second.body], [[{ name: 'a' }, { name: 'b' }], [{ name: 'c' }]])
  t.equal(second.headers['x-next-cursor'], undefined)
})

await t.test('a published event or batch stays in the log', async t => {
  const name = await topic()
  const one = await request('POST', `/api/topics/${name}/events`, { payload: { status: 'ended' }, key: 's1' })
  t.equal(one.status, 201)
  t.equal(one.headers['content-type'], 'application/json; charset=utf-8')
  t.match(one.body, {
    id: /^evt_/, topic: name, offset: 1, epoch: String, type: 'topic.event', source: 'api',
    applicationId: mine.applicationId, environment: 'development', schemaVersion: null, key: 's1',
    payload: { status: 'ended' }
  })
  const batch = await request('POST', `/api/topics/${name}/events`, {
    events: Array.from({ length: 1000 }, (_, payload) => ({ payload }))
  })
  t.equal(batch.status, 201)
  t.equal(batch.body.length, 1000)
  t.equal(batch.body.at(-1).offset, 1001)

  const first = await request('GET', `/api/topics/${name}/events?limit=2`)
  t.strictSame([first.body[0], first.headers['x-next-cursor']], [one.body, '2'])
  const last = await request('GET', `/api/topics/${name}/events?order=desc&limit=1`)
  t.strictSame([last.body, last.headers['x-next-cursor']], [[batch.body.at(-1)], '1001'])
  const { timestamp } = one.body
  const selected = await request(
    'GET', `/api/topics/${name}/events?from=${timestamp}&key=s1&filter=${encodeURIComponent('{"status":"ended"}')}`
  )
  t.strictSame([selected.body, selected.headers['x-next-cursor']], [[one.body], undefined])
  t.strictSame((await request('GET', `/api/topics/${name}/events?to=${timestamp - 1}`)).body, [])
  const rest = await request('GET', `/api/topics/${name}/events?after=2&limit=1000`)
  t.strictSame([rest.body.length, rest.headers['x-next-cursor']], [999, undefined])
  t.strictSame(rest.body.at(-1), batch.body.at(-1))
})

await t.test('a retry with an idempotency key has one effect', async t => {
  const name = await topic()
  const publish = (body: unknown) =>
    request('POST', `/api/topics/${name}/events`, body, { 'idempotency-key': `k-${name}` })
  const first = await publish({ payload: 1 })
  const again = await publish({ payload: 1 })
  t.strictSame([again.status, again.text], [201, first.text])
  t.match(await publish({ payload: 2 }), {
    status: 409, body: { error: 'ConflictError', code: 'IDEMPOTENCY_KEY_REUSED' }
  })
  t.equal((await request('GET', `/api/topics/${name}/events`)).body.length, 1)
})

await t.test('with Prefer: return=minimal, a publish returns the place of its events', async t => {
  const name = await topic()
  const url = `/api/topics/${name}/events`
  const publish = (body: unknown, headers: Record<string, string> = {}) => request('POST', url, body, headers)
  const minimal = { prefer: 'return=minimal' }
  const one = await publish({ payload: 1 }, minimal)
  t.equal(one.status, 201)
  t.match(one.headers, { 'preference-applied': 'return=minimal', 'content-type': 'application/json; charset=utf-8' })
  const batch = await publish({ events: [{ payload: 2 }, { payload: 3 }, { payload: 4 }] }, minimal)
  const { body: log } = await request('GET', url)
  const { epoch } = log[0]
  t.strictSame([one.body, batch.body], [{ offset: 1, count: 1, epoch }, { offset: 2, count: 3, epoch }])
  t.strictSame(log.map(({ payload }: { payload: number }) => payload), [1, 2, 3, 4])

  const full = await publish({ payload: 5 }, { prefer: 'return=representation' })
  t.match([full.body.offset, full.headers['preference-applied']], [5, undefined])
  t.match(await publish({ payload: 6, more: 1 }, minimal), { status: 400, body: { code: 'VALIDATION_FAILED' } })

  for (const body of [{ payload: 7 }, { events: [{ payload: 8 }, { payload: 9 }] }]) {
    const key = { 'idempotency-key': `k-${name}-${JSON.stringify(body)}` }
    const short = await publish(body, { ...key, ...minimal })
    const long = await publish(body, key)
    const places = [long.body].flat()
    t.strictSame(short.body, { offset: places[0].offset, count: places.length, epoch })
    t.strictSame((await publish(body, { ...key, ...minimal })).body, short.body)
  }
  t.equal((await request('GET', `${url}?after=5`)).body.length, 3, 'a retry in either form has no second effect')
})

await t.test("an unregistered topic is 404; the platform's own topics can be read but not written", async t => {
  t.match(await request('POST', '/api/topics/no.such/events', { payload: 1 }), {
    status: 404, body: { message: 'Topic not found: no.such' }
  })
  t.match(await request('GET', '/api/topics/no.such/events'), { status: 404 })
  for (const name of ['sync.some_service-1.created', 'socket.message', 'presence.updated']) {
    t.match(await request('GET', `/api/topics/${name}/events`), { status: 200, text: '[]' })
    t.match(await request('POST', `/api/topics/${name}/events`, { payload: 1 }), {
      status: 400,
      body: { code: 'TOPIC_RESERVED' }
    })
    t.match(await request('GET', `/api/topics/${name}`), { status: 404 })
  }
  t.match(await request('GET', '/api/topics/sync.session/events'), { status: 404 })
  t.match(await request('POST', '/api/topics', { name: 'sync.session.created', ...described }), {
    status: 400, body: { error: 'ValidationError', code: 'TOPIC_RESERVED' }
  })
})

await t.test('another application\'s topic, and another environment\'s, is 404', async t => {
  const name = await topic()
  await mine.publish(name, 1)
  for (const [ask, headers] of [[others.request, {}], [request, { 'x-environment': 'staging' }]] as const) {
    for (
      const [method, path, body] of [
        ['GET', '', undefined], ['PATCH', '', { owner: 'x' }], ['DELETE', '', undefined], ['GET', '/events', undefined],
        ['POST', '/events', { payload: 1 }]
      ] as const
    ) {
      t.match(await ask(method, `/api/topics/${name}${path}`, body, headers), {
        status: 404,
        body: { code: 'TOPIC_NOT_FOUND' }
      })
    }
    t.notOk(
      (await ask('GET', '/api/topics', undefined, headers)).body.some((other: { name: string }) => other.name === name)
    )
  }
})

await t.test('a request without credentials or permission is refused; topic patterns restrict permissions', async t => {
  const name = await topic()
  t.equal((await app.inject('/api/topics')).statusCode, 401)
  const as = (...permissions: string[]) => ({ authorization: `Bearer ${mine.token(permissions)}` })
  for (
    const [method, path, body] of [
      ['GET', '', undefined],
      ['POST', '', { name: 'x', ...described }],
      ['GET', `/${name}`, undefined],
      ['PATCH', `/${name}`, { owner: 'x' }],
      ['DELETE', `/${name}`, undefined]
    ] as const
  ) {
    t.match(await request(method, `/api/topics${path}`, body, as('client')), {
      status: 403,
      body: { code: 'PERMISSION_DENIED' }
    })
  }

  const publish = async (...permissions: string[]) =>
    (await request('POST', `/api/topics/${name}/events`, { payload: 1 }, as(...permissions))).status
  const read = async (...permissions: string[]) =>
    (await request('GET', `/api/topics/${name}/events`, undefined, as(...permissions))).status
  t.strictSame([
    await publish('publish'), await publish('publish:topic.*'), await publish('service'), await publish('events:create')
  ], [201, 201, 201, 201])
  t.strictSame([await publish('client'), await publish('publish:other.**'), await publish('subscribe')], [
    403, 403, 403
  ])
  t.strictSame([await read('subscribe'), await read('subscribe:topic.**'), await read('client')], [200, 200, 200])
  t.strictSame([await read('publish'), await read('subscribe:other.*')], [403, 403])
})

await t.test('a malformed request is refused with the path of the error', async t => {
  const name = await topic()
  const levels = (depth: number): unknown => depth === 0 ? 1 : [levels(depth - 1)]
  const cases: [Parameters<typeof request>[0], string, unknown, RegExp, number?][] = [
    ['POST', '', {}, /name/],
    ['POST', '', undefined, /body/],
    ['POST', '', { name: 'x', owner: 'x' }, /description/],
    ['POST', '', { name: 'x', ...described, description: '' }, /\/description/],
    ['POST', '', { name: 'x', ...described, owner: 'nul\0' }, /\/owner/],
    ['POST', '', { name: 'x', ...described, extra: 1 }, /\/extra/],
    ['POST', '', { name: 'x', ...described, activeSchemaVersion: 1 }, /\/activeSchemaVersion/],
    ['POST', '', { ...described, name: 7 }, /\/name/],
    ['POST', '', { ...described, name: 'x'.repeat(10_000) }, /\/name/],
    ...['', 'Upper', 'a..b', '.a', 'a.', 'a_b', 'a-b', 'a b', 'ä', 'nul\0', 'a\n'].map(name =>
      ['POST', '', { ...described, name }, /\/name/] as [Parameters<typeof request>[0], string, unknown, RegExp]
    ),
    ['POST', '', '{"name":"x","description":"x","owner":"x","__proto__":1}', /__proto__/],
    ['PATCH', `/${name}`, {}, /body/],
    ['PATCH', `/${name}`, { name: 'other' }, /\/name/],
    ['PATCH', `/${name}`, { activeSchemaVersion: 0 }, /\/activeSchemaVersion/],
    ['PATCH', `/${name}`, { activeSchemaVersion: 1.5 }, /\/activeSchemaVersion/],
    ['PATCH', `/${name}`, { activeSchemaVersion: 3_000_000_000 }, /\/activeSchemaVersion/],
    ['GET', '/Upper', undefined, /\/name/],
    ['GET', '/nul%00', undefined, /\/name/],
    ['GET', `/${'x'.repeat(10_000)}`, undefined, /\/name/],
    ['GET', '?limit=0', undefined, /\/limit/],
    ['GET', '?cursor=!', undefined, /cursor/],
    ['GET', `/${name}/events?after=-1`, undefined, /\/after/],
    ['GET', `/${name}/events?after=1.5`, undefined, /\/after/],
    ['GET', `/${name}/events?after=1e400`, undefined, /\/after/],
    ['GET', `/${name}/events?after=99999999999999999999`, undefined, /\/after/],
    ['GET', `/${name}/events?limit=1001`, undefined, /\/limit/],
    ...[
      ['before=0', '/before'], ['before=x', '/before'], ['after=5&before=5', '/before'], ['after=&before=1', '/after'],
      ['after=1&after=2', '/after'], ['from=-1', '/from'], ['from=NaN', '/from'], ['from=1e400', '/from'],
      ['from=99999999999999999999', '/from'], ['from=2&to=1', '/from'], ['to=Infinity', '/to'], ['to=1&to=2', '/to'],
      ['to=2026-01-01', '/to'], ['order=down', '/order'], ['order=asc&order=desc', '/order'], ['key=', '/key'],
      ['key=a&key=b', '/key'], ['key=%00', '/key'], [`key=${'x'.repeat(513)}`, '/key'], ['filter=', '/filter'],
      ['filter={', '/filter'], ['filter=[]', '/filter'], ['filter=null', '/filter'], ['filter={"a":NaN}', '/filter'],
      ['filter={}&filter={}', '/filter'], ['filter={"a":{"like":1}}', '/filter/a/like'],
      ['filter={"a":{"gt":[]}}', '/filter/a/gt'], ['filter={"a":9007199254740993}', '/filter/a'],
      ['filter={"a":1e400}', '/filter/a'], ['since=1', '/since'], ['cursor=1', '/cursor']
    ].map(([query, place]): [Parameters<typeof request>[0], string, unknown, RegExp] => [
      'GET', `/${name}/events?${query}`, undefined, new RegExp(`${place} `)
    ]),
    ['POST', `/${name}/events`, {}, /\/payload/],
    ['POST', `/${name}/events`, { key: 'k' }, /\/payload/],
    ['POST', `/${name}/events`, { events: [] }, /\/events/],
    ['POST', `/${name}/events`, { events: [{ payload: 1 }], payload: 1 }, /\/payload/],
    ['POST', `/${name}/events`, { events: [{ payload: 1 }], key: 'k' }, /\/key/],
    ['POST', `/${name}/events`, { events: [{ key: 'k' }] }, /\/events\/0\/payload/],
    ['POST', `/${name}/events`, { events: [{ payload: 1, topic: 'x' }] }, /\/events\/0\/topic/],
    ['POST', `/${name}/events`, { events: Array.from({ length: 1001 }, () => ({ payload: 1 })) }, /\/events/],
    ['POST', `/${name}/events`, { payload: 1, key: '' }, /\/key/],
    ['POST', `/${name}/events`, { payload: 1, key: 'nul\0' }, /\/key/],
    ['POST', `/${name}/events`, { payload: 1, key: 'x'.repeat(10_000) }, /\/key/],
    ['POST', `/${name}/events`, { payload: ['nul\0'] }, /\/payload\/0/],
    ['POST', `/${name}/events`, '{"payload":{"a":1e400}}', /\/payload\/a/],
    ['POST', `/${name}/events`, '{"payload":{"__proto__":{}}}', /\/payload\/__proto__/],
    ['POST', `/${name}/events`, { payload: levels(65) }, /\/payload.*64 levels/],
    [
      'POST',
      `/${name}/events`,
      { events: [{ payload: 1 }, { payload: levels(65) }] },
      /\/events\/1\/payload.*64 levels/
    ],
    ['POST', `/${name}/events`, { payload: 'x'.repeat(257 * 1024) }, /\/payload.*262144/],
    ['POST', `/${name}/events`, { payload: 'x'.repeat(9 * 1024 * 1024) }, /larger than/, 413],
    ['POST', '', { ...described, name: 'x', owner: 'x'.repeat(2 * 1024 * 1024) }, /larger than/, 413]
  ]
  for (const [method, path, body, message, status = 400] of cases) {
    const answer = await request(method, `/api/topics${path}`, body)
    const title = `${method} ${path.slice(0, 60)} ${JSON.stringify(body)?.slice(0, 60)}`
    t.equal(answer.status, status, title)
    t.match(answer.body, { error: String, message, code: String }, title)
  }
  t.strictSame((await request('GET', `/api/topics/${name}/events`)).body, [])
})

await t.test('a body that is not JSON is 415', async t => {
  t.match(await request('POST', '/api/topics', 'name=x', { 'content-type': 'text/plain' }), {
    status: 415, body: { error: 'UnsupportedMediaTypeError' }
  })
})
