import t from 'tap'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'

const { app } = await build(t)
const mine = await tenant(app)
const others = await tenant(app)
const { request } = mine
const documents = '/api/sync/session/documents'
let created = 0

async function create (data: unknown = { status: 'active', n: 1 }): Promise<string> {
  const id = `d${++created}`
  const { status, text } = await request('POST', documents, { id, data })
  if (status !== 201) throw new Error(text)
  return `${documents}/${id}`
}
const levels = (depth: number): unknown => depth === 0 ? 1 : { a: levels(depth - 1) }

await t.test('a document is created, read and written, with its revision as entity tag', async t => {
  const made = await request('POST', documents, { data: { status: 'active', n: 1 } })
  t.equal(made.status, 201)
  t.equal(made.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(made.headers.etag, '"1"')
  t.match(made.body, {
    service: 'session', id: /^doc_/, revision: 1, data: { status: 'active', n: 1 }, createdAt: Number, updatedAt: Number
  })
  const url = `${documents}/${made.body.id}`

  const steps = [
    await request('GET', url),
    await request('PUT', url, { data: { status: 'active', n: 2, gone: 1 }, expectedRevision: 1 }),
    await request('PATCH', `${url}/merge`, { data: { gone: null, deep: { a: 1 } } }),
    await request('POST', `${url}/mutate`, {
      mutations: [{ op: 'set', path: '/status', value: 'ended' }, { op: 'increment', path: '/n', value: -1 }],
      expectedRevision: 3
    }),
    await request('DELETE', url)
  ]
  t.strictSame(steps.map(({ status, headers, body }) => [status, headers.etag, body.revision]), [
    [200, '"1"', 1], [200, '"2"', 2], [200, '"3"', 3], [200, '"4"', 4], [200, '"5"', 5]
  ])
  t.strictSame(steps.map(({ body }) => body.data), [
    { status: 'active', n: 1 }, { status: 'active', n: 2, gone: 1 }, { status: 'active', n: 2, deep: { a: 1 } },
    { status: 'ended', n: 1, deep: { a: 1 } }, { status: 'ended', n: 1, deep: { a: 1 } }
  ])
  t.equal(steps[4]?.body.deleted, true)
  t.match(await request('GET', url), {
    status: 404,
    body: { error: 'NotFoundError', code: 'DOCUMENT_NOT_FOUND', message: `Document not found: session/${made.body.id}` }
  })
})

await t.test('each write appends an event to the log of its topic', async t => {
  const url = await create()
  await request('PATCH', `${url}/merge`, { data: { n: 7 } })
  const { body } = await request('GET', '/api/topics/sync.session.updated/events?limit=1000')
  t.match(body.at(-1), {
    type: 'document.updated', source: 'sync', key: url.split('/').at(-1),
    payload: { revision: 2, data: { status: 'active', n: 7 } }, meta: { service: 'session', revision: 2 }
  })
})

await t.test('If-Match and If-None-Match apply to documents', async t => {
  const url = await create()
  const fresh = await request('GET', url, undefined, { 'if-none-match': '"1"' })
  t.match([fresh.status, fresh.headers.etag, fresh.text], [304, '"1"', ''])
  t.equal((await request('GET', url, undefined, { 'if-none-match': '"2"' })).status, 200)
  const writes = [
    ['PUT', url, { data: {} }],
    ['PATCH', `${url}/merge`, { data: {} }],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'test', path: '', value: {} }] }],
    ['DELETE', url, undefined]
  ] as const
  for (const [method, path, body] of writes) {
    t.match(await request(method, path, body, { 'if-match': '"9"' }), {
      status: 412,
      body: {
        error: 'PreconditionFailedError',
        code: 'ETAG_MISMATCH',
        details: [{ path: '/if-match', revision: Number }]
      }
    })
    t.match(await request(method, path, body, { 'if-match': '9' }), {
      status: 400, body: { details: [{ path: '/if-match' }] }
    })
  }
  t.equal((await request('PUT', url, { data: {} }, { 'if-match': '"1"' })).headers.etag, '"2"')
})

await t.test('a conflicting write is refused with the reason', async t => {
  const url = await create()
  const id = url.split('/').at(-1)
  t.match(await request('POST', documents, { id, data: {} }), {
    status: 409,
    body: {
      error: 'ConflictError',
      code: 'DOCUMENT_EXISTS',
      message: new RegExp(`session/${id}`),
      details: [{ path: '/id', revision: Number }]
    }
  })
  for (
    const [method, path, body] of [['PUT', url, { data: {} }], ['PATCH', `${url}/merge`, { data: {} }], [
      'POST',
      `${url}/mutate`,
      { mutations: [{ op: 'remove', path: '/n' }] }
    ]] as const
  ) {
    t.match(await request(method, path, { ...body, expectedRevision: 4 }), {
      status: 409,
      body: {
        code: 'REVISION_MISMATCH',
        message: /expected 4, .* revision 1/,
        details: [{ path: '/expectedRevision', revision: 1 }]
      }
    })
  }
  t.match(await request('POST', `${url}/mutate`, { mutations: [{ op: 'test', path: '/n', value: 2 }] }), {
    status: 409,
    body: { code: 'MUTATION_FAILED' }
  })
  t.match(
    await request('POST', `${url}/mutate`, {
      mutations: [{ op: 'remove', path: '/n' }, { op: 'append', path: '/status', value: 2 }]
    }),
    {
      status: 400,
      body: {
        error: 'ValidationError', code: 'MUTATION_FAILED',
        message: 'Mutation 1 (append "/status") failed: the target is a string, not an array',
        details: [{ path: '/mutations/1' }]
      }
    }
  )
  t.match((await request('GET', url)).body, { revision: 1, data: { n: 1 } })
})

await t.test('a retry with an idempotency key gets the first answer', async t => {
  const headers = { 'idempotency-key': 'create-1' }
  const first = await request('POST', documents, { data: { a: 1 } }, headers)
  const again = await request('POST', documents, { data: { a: 1 } }, headers)
  t.strictSame([again.status, again.text, again.headers.etag], [201, first.text, '"1"'])
  t.match(await request('POST', documents, { data: { a: 2 } }, headers), {
    status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' }
  })
  const mutate = () =>
    request('POST', `${documents}/${first.body.id}/mutate`, { mutations: [{ op: 'increment', path: '/a' }] }, {
      'idempotency-key': 'mutate-1'
    })
  t.equal((await mutate()).text, (await mutate()).text)
  t.equal((await request('GET', `${documents}/${first.body.id}`)).body.data.a, 2)
  t.equal((await request('POST', documents, { data: {} }, { 'idempotency-key': 'ä b' })).status, 400)
})

await t.test('a list is an array in pages', async t => {
  for (const id of ['a', 'b', 'c']) await request('POST', '/api/sync/listed/documents', { id, data: { id } })
  await request('DELETE', '/api/sync/listed/documents/b')
  const first = await request('GET', '/api/sync/listed/documents?limit=1')
  t.strictSame(first.body.map(({ id }: { id: string }) => id), ['a'])
  const second = await request(
    'GET',
    `/api/sync/listed/documents?limit=1&cursor=${String(first.headers['x-next-cursor'])}`
  )
  t.strictSame(second.body.map(({ id }: { id: string }) => id), ['c'])
  t.equal(second.headers['x-next-cursor'], undefined)
  t.match((await request('GET', '/api/sync/listed/documents?includeDeleted=true')).body, [{ id: 'a' }, {
    id: 'b', deleted: true
  }, { id: 'c' }])
  t.strictSame((await request('GET', `/api/sync/listed/documents?updatedAfter=${Date.now() + 1000}`)).body, [])
})

await t.test('a document of another application or environment is 404 for every operation', async t => {
  const url = await create()
  const staging = { 'x-environment': 'staging' }
  for (const [ask, headers] of [[others.request, {}], [request, staging]] as const) {
    const answers = [
      await ask('GET', url, undefined, headers),
      await ask('PUT', url, { data: {} }, headers),
      await ask('PATCH', `${url}/merge`, { data: {} }, headers),
      await ask('POST', `${url}/mutate`, { mutations: [{ op: 'remove', path: '/n' }] }, headers),
      await ask('DELETE', url, undefined, headers)
    ]
    for (const { status, body } of answers) t.match([status, body.code], [404, 'DOCUMENT_NOT_FOUND'])
    t.strictSame((await ask('GET', documents, undefined, headers)).body, [])
  }
  t.match(await request('GET', url), { status: 200, body: { revision: 1 } })
})

await t.test('a request without credentials or permission is refused', async t => {
  const url = await create()
  const client = { authorization: `Bearer ${mine.token(['client'])}` }
  const subscriber = { authorization: `Bearer ${mine.token(['subscribe'])}` }
  t.equal((await app.inject({ method: 'GET', url })).statusCode, 401)
  t.equal((await request('GET', url, undefined, client)).status, 200)
  t.equal((await request('GET', url, undefined, subscriber)).status, 403)
  t.equal((await request('GET', documents, undefined, subscriber)).status, 403)
  for (
    const [method, path, body] of [
      ['POST', documents, { data: {} }],
      ['PUT', url, { data: {} }],
      ['PATCH', `${url}/merge`, { data: {} }],
      ['POST', `${url}/mutate`, { mutations: [{ op: 'remove', path: '/n' }] }],
      ['DELETE', url, undefined]
    ] as const
  ) {
    t.match(await request(method, path, body, client), {
      status: 403, body: { error: 'ForbiddenError', code: 'PERMISSION_DENIED' }
    })
  }
})

await t.test('a malformed request is refused with the path of the error', async t => {
  const url = await create()
  const big = 'x'.repeat(257 * 1024)
  const cases: [Parameters<typeof request>[0], string, unknown, RegExp, number?][] = [
    ['POST', documents, {}, /data/],
    ['POST', documents, [], /body/],
    ['POST', documents, 'null', /body/],
    ['POST', documents, '', /body/],
    ['POST', documents, '{"data":', /JSON/],
    ['POST', documents, { data: [] }, /\/data/],
    ['POST', documents, { data: 'x' }, /\/data/],
    ['POST', documents, { data: null }, /\/data/],
    ['POST', documents, { data: {}, extra: 1 }, /\/extra/],
    ['POST', documents, { data: {}, id: '' }, /\/id/],
    ['POST', documents, { data: {}, id: 'a/b' }, /\/id/],
    ['POST', documents, { data: {}, id: 7 }, /\/id/],
    ['POST', documents, { data: {}, id: 'x'.repeat(10_000) }, /\/id/],
    ['POST', documents, { data: {}, expiresAt: 1 }, /\/expiresAt/],
    ['POST', documents, { data: {}, expiresAt: '2030' }, /\/expiresAt/],
    ['POST', documents, { data: {}, expiresAt: 1.5 }, /\/expiresAt/],
    ['POST', documents, '{"data":{},"expiresAt":1e400}', /\/expiresAt/],
    ['POST', documents, '{"data":{"a":{"__proto__":{"x":1}}}}', /\/data\/a\/__proto__/],
    ['POST', documents, '{"data":{"constructor":1}}', /\/data\/constructor/],
    ['POST', documents, '{"data":{"a":[{"prototype":1}]}}', /\/data\/a\/0\/prototype/],
    ['POST', documents, { data: { a: 'nul\0' } }, /\/data\/a/],
    ['POST', documents, { data: { 'nul\0': 1 } }, /\/data/],
    ['POST', documents, '{"data":{"a":[1,1e400]}}', /\/data\/a\/1/],
    ['POST', documents, { data: levels(65) }, /\/data.*64 levels/],
    ['POST', documents, { data: { big } }, /\/data.*262144/],
    ['POST', documents, { data: { big: big.repeat(5) } }, /larger than/, 413],
    ['POST', '/api/sync/Bad/documents', { data: {} }, /\/service/],
    ['POST', '/api/sync/1bad/documents', { data: {} }, /\/service/],
    ['POST', '/api/sync/b%00d/documents', { data: {} }, /\/service/],
    ['POST', `/api/sync/${'s'.repeat(10_000)}/documents`, { data: {} }, /\/service/],
    ['GET', `${documents}/${'x'.repeat(10_000)}`, undefined, /\/id/],
    ['GET', `${documents}/a%00b`, undefined, /\/id/],
    ['GET', `${documents}/a%2Fb`, undefined, /\/id/],
    ['GET', `${documents}?limit=0`, undefined, /\/limit/],
    ['GET', `${documents}?limit=1001`, undefined, /\/limit/],
    ['GET', `${documents}?limit=1.5`, undefined, /\/limit/],
    ['GET', `${documents}?updatedAfter=-1`, undefined, /\/updatedAfter/],
    ['GET', `${documents}?updatedAfter=1e400`, undefined, /\/updatedAfter/],
    ['GET', `${documents}?includeDeleted=maybe`, undefined, /\/includeDeleted/],
    ['GET', `${documents}?cursor=%00`, undefined, /cursor/],
    ['GET', `${documents}?cursor=WzFd`, undefined, /cursor/],
    ['GET', `${documents}?unknown=1`, undefined, /\/unknown/],
    ['PUT', url, {}, /data/],
    ['PUT', url, { data: {}, expectedRevision: '1' }, /\/expectedRevision/],
    ['PUT', url, { data: {}, expectedRevision: -1 }, /\/expectedRevision/],
    ['PUT', url, { data: {}, expiresAt: 1 }, /\/expiresAt/],
    ['PATCH', `${url}/merge`, { data: 1 }, /\/data/],
    ['PATCH', `${url}/merge`, '{"data":{"__proto__":null}}', /\/data\/__proto__/],
    ['PATCH', `${url}/merge`, { data: {}, mutations: [] }, /\/mutations/],
    ['POST', `${url}/mutate`, { mutations: [] }, /\/mutations/],
    [
      'POST',
      `${url}/mutate`,
      { mutations: Array.from({ length: 1001 }, () => ({ op: 'increment', path: '/n' })) },
      /\/mutations/
    ],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'move', path: '/n' }] }, /\/mutations\/0\/op/],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'set', path: 'n', value: 1 }] }, /\/mutations\/0\/path/],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'set', path: '/a~', value: 1 }] }, /\/mutations\/0\/path/],
    [
      'POST',
      `${url}/mutate`,
      { mutations: [{ op: 'set', path: '/__proto__/a', value: 1 }] },
      /\/mutations\/0\/path.*__proto__/
    ],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'set', path: '/n' }] }, /\/mutations\/0\/value/],
    ['POST', `${url}/mutate`, '{"mutations":[{"op":"increment","path":"/n","value":1e400}]}', /\/mutations\/0\/value/],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'increment', path: '/n', value: 1, by: 2 }] }, /\/mutations\/0\/by/],
    ['POST', `${url}/mutate`, { mutations: [{ op: 'increment', path: '/status' }] }, /increment "\/status"/]
  ]
  for (const [method, path, body, message, status = 400] of cases) {
    const answer = await request(method, path, body)
    const name = `${method} ${path.slice(0, 60)} ${JSON.stringify(body)?.slice(0, 60)}`
    t.equal(answer.status, status, name)
    t.match(answer.body, { error: String, message, code: String }, name)
  }
  t.equal((await request('GET', url)).body.revision, 1)
})

await t.test('a body that is not JSON is 415', async t => {
  t.match(await request('POST', documents, 'data=1', { 'content-type': 'application/x-www-form-urlencoded' }), {
    status: 415, body: { error: 'UnsupportedMediaTypeError' }
  })
})

await t.test('data is returned as it was sent, with any content', async t => {
  const data = {
    'a"b\\/': ['\u2028\u{1F600}\ud800', 1e-7, 1.7976931348623157e308, true, null, {}, []],
    '': { toString: 1, hasOwnProperty: 2 }, deep: levels(62) as { a: unknown }
  }
  const url = await create(data)
  t.strictSame((await request('GET', url)).body.data, data)
  t.strictSame((await request('PATCH', `${url}/merge`, { data: { valueOf: {} } })).body.data, { ...data, valueOf: {} })
})
