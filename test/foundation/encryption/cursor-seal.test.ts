import t from 'tap'
import { createCursorSeal } from '../../../src/foundation/encryption/cursor-seal.ts'
import { build } from '../../support/build.ts'
import { dereferenced } from '../../support/dereferenced.ts'
import { person } from '../../support/people.ts'
import { codeOf } from '../../support/refusal.ts'
import { tenant } from '../../support/tenant.ts'

t.setTimeout(600_000)

t.test('a cursor opens for its own list only, also after a key change', async t => {
  const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const cursors = createCursorSeal([first])
  const sealed = cursors.seal('topics', 'WyJhIl0')
  t.match(sealed, /^[\w-]+$/)
  t.equal(cursors.open('topics', sealed), 'WyJhIl0')
  t.equal(createCursorSeal([second, first]).open('topics', sealed), 'WyJhIl0')
  for (
    const [list, text] of [
      ['users', sealed],
      ['topics', `${sealed}x`],
      ['topics', sealed.slice(0, -1)],
      ['topics', ''],
      ['topics', 'WyJhIl0'],
      ['topics', `x${sealed}`],
      ['topics', sealed.replace(/.$/, last => last === 'A' ? 'B' : 'A')]
    ] as const
  ) {
    t.equal(await codeOf(() => cursors.open(list, text)), 'VALIDATION_FAILED', `${list} ${text}`)
  }
  t.equal(await codeOf(() => createCursorSeal([second]).open('topics', sealed)), 'VALIDATION_FAILED')
})

t.test('a cursor does not reveal the row that it stands for', async t => {
  const cursor = Buffer.from(JSON.stringify(['grace@example.com', 'usr_1'])).toString('base64url')
  const sealed = createCursorSeal([Buffer.alloc(32, 1)]).seal('users', cursor)
  t.notMatch(sealed, cursor.slice(0, 8))
  t.notMatch(Buffer.from(sealed, 'base64url').toString('latin1'), 'grace')
})

t.test('a forged cursor gets 400 on every list of the OpenAPI document', async t => {
  const { app } = await build(t)
  const root = await person(app, 'super_admin')
  const { applicationId } = await tenant(app)
  const headers = { 'x-application-id': applicationId }
  const send = (url: string) => root.get(url, { headers: { ...headers, authorization: root.token } })
  for (const name of ['a', 'b', 'c']) {
    await root.post('/api/topics', { name: `cursor.${name}`, description: 'For pages', owner: 'tests' }, {
      headers: { ...headers, authorization: root.token, 'content-type': 'application/json' }
    })
  }
  const page = await send('/api/topics?limit=1')
  const cursor = String(page.headers['x-next-cursor'])
  t.match(
    (await send(`/api/topics?limit=2&cursor=${cursor}`)).body,
    [{ name: 'cursor.b' }, { name: 'cursor.c' }],
    'its own list accepts it, with another limit'
  )

  const { paths } = dereferenced<
    {
      paths: Record<
        string,
        {
          get?: {
            parameters?: { name: string }[]
            responses: { 200: { headers?: Record<string, { description: string }> } }
          }
        }
      >
    }
  >((await root.get('/openapi.json')).body)
  const lists = Object.entries(paths).filter(([, { get }]) => get?.parameters?.some(({ name }) => name === 'cursor'))
    .map(([path]) => path)
  t.ok(lists.length >= 20, `${lists.length} lists`)
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const parts = [
    ['a'], [1], [Date.now(), 'usr_a'], [1, 'a', 1, 1], ['\0'], [null], [9007199254740991], [-1],
    [9007199254740991, 'a'], [1e300], [2147483648], [{}], []
  ]
  const forged = [
    '',
    'x',
    'WzFd',
    ...parts.map(encode),
    ...parts.map(part => cursor.slice(0, 22) + encode(part))
  ]
  for (const list of lists) {
    const header = paths[list]?.get?.responses[200].headers?.['X-Next-Cursor']
    t.match(header?.description, /^Pass it as `cursor`/, `${list} documents the header of the next page`)
    const path = list.replaceAll(/\{(\w+)\}/g, 'a')
    for (const text of [...forged, ...(list === '/api/topics' ? [`${cursor}A`, cursor.slice(0, -1)] : [cursor])]) {
      const answer = await send(`${path}?cursor=${text}`)
      if (answer.status !== 400 || answer.body.code !== 'VALIDATION_FAILED') {
        t.fail(`${path} ${text}: ${answer.status} ${answer.text.slice(0, 200)}`)
      }
    }
    t.pass(path)
  }
})
