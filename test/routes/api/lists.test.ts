import t from 'tap'
import { build } from '../../support/build.ts'
import { dereferenced } from '../../support/dereferenced.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * Walks every list of the OpenAPI document: by every field, in both orders, one item at a time, and compares that with
 * one large page; `q` with the same search in the items themselves.
 */

t.setTimeout(600_000)

const { app } = await build(t)
const shop = await tenant(app)
const admin = await person(app, 'super_admin')
const headers = { 'x-application-id': shop.applicationId }

async function make (url: string, body: unknown) {
  const { status, text, body: answer } = await admin.post(url, body, { headers })
  if (status >= 300) throw new Error(`${url}: ${status} ${text}`)
  return answer as { id: string }
}

/** Makes a few items of each kind, with equal and different values. */
async function fill (): Promise<void> {
  for (const name of ['order.placed', 'order.paid', 'session.ended']) {
    await make('/api/topics', { name, description: 'A Topic 100%', owner: 'tests' })
    for (const field of ['a', 'b', 'c']) {
      await make(`/api/schemas/${name}`, { schema: { properties: { [field]: {} } }, compatibilityMode: 'none' })
    }
  }
  for (const name of ['cart', 'card', 'wish-list']) {
    await make('/api/services', { name, description: name === 'cart' ? undefined : 'For the Shop' })
  }
  for (const id of ['Ab_1', 'ab-2', 'AB.3', 'x%4']) {
    await make('/api/sync/cart/documents', { id: id.replace('%', '@'), data: {} })
  }
  for (const path of ['a', 'b', 'A']) {
    const url = `https://hooks.example.com/${path}`
    await make('/api/webhooks', { url, events: ['topic.event'], description: path === 'b' ? undefined : 'Hook' })
  }
  await shop.publish('order.placed', { n: 1 }, { n: 2 }, { n: 3 })
  for (const name of ['Support', 'support-2', 'ops']) {
    const { id: roleId } = await make('/api/roles', {
      name: name.toLowerCase(), permissions: [{ resource: 'topics', action: 'read' }]
    })
    await make('/api/invites', { email: `${name}@example.com`, roleId })
    await make('/api/applications', { name })
    await make('/api/api-keys', { name, permissions: ['topics:read'] })
    await make('/api/users', { name, email: `user-${name}@example.com`, password: 'a long pass phrase' })
    await make('/api/admin/keys', { algorithm: 'HS256' })
    await app.sessions.create(admin.id, { address: '192.0.2.1', userAgent: name })
  }
  for (const table of ['carts', 'orders', 'Orders_2']) {
    const { id } = await make('/api/database/mappings', { table, topic: 'order.placed', events: ['insert'] })
    await make('/api/database/subscriptions', { mappingId: id })
    for (let i = 0; i < 3; i++) await make(`/api/database/mappings/${id}/versions`, { environment: 'development' })
    mappingId = id
  }
  for (let i = 0; i < 3; i++) {
    await make('/api/debugger/replay', { topic: 'order.placed', fromOffset: 1, target: 'subscribers' })
  }
}

let mappingId = ''

interface Parameter { name?: string, in?: string, description?: string, schema?: { enum?: string[] } }

interface FoundList { url: string, sorts: string[], searched: string[] }

/** Returns the lists of the document, with the fields that it names. */
async function findLists (): Promise<FoundList[]> {
  const { paths } = dereferenced<{ paths: Record<string, { get?: { parameters?: Parameter[] } }> }>(app.swagger())
  return Object.entries(paths).flatMap(([path, { get }]) => {
    const sort = get?.parameters?.find(({ name, in: place }) => place === 'query' && name === 'sort')
    if (sort?.schema?.enum === undefined) return []
    const q = get?.parameters?.find(({ name, in: place }) => place === 'query' && name === 'q')
    const named = /whose (.*) contains this text/.exec(q?.description ?? '')?.[1] ?? ''
    const url = path.replace('{service}', 'cart').replace('{topic}', 'order.placed')
      .replace('/mappings/{id}', `/mappings/${mappingId}`).replace('{channel}', 'chat:1')
      .replace('documents/{id}', 'documents/Ab_1')
    const searched = [...named.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')
    return [{ url, sorts: sort.schema.enum, searched }]
  })
}

type Item = Record<string, unknown>

/** Returns what identifies items. The rest may change meanwhile: deliveries are attempted, sessions are used. */
const idsOf = (items: readonly Item[]): unknown[] =>
  items.map(({ id, keyId, mappingId, topic, name, version }) => [id ?? keyId ?? mappingId ?? topic ?? name, version])

async function read (url: string): Promise<{ items: Item[], cursor: string | undefined }> {
  const { status, text, body, headers: answered } = await admin.get(url, { headers })
  if (status !== 200) throw new Error(`${url}: ${status} ${text}`)
  const items = (Array.isArray(body) ? body : Object.values(body as object)[0]) as Item[]
  return { items, cursor: answered['x-next-cursor'] as string | undefined }
}

async function walk (url: string): Promise<Item[]> {
  const all: Item[] = []
  let cursor: string | undefined
  do {
    const page = await read(`${url}${cursor === undefined ? '' : `&cursor=${cursor}`}`)
    all.push(...page.items)
    cursor = page.cursor
  } while (cursor !== undefined)
  return all
}

const valueOf = (item: Item, field: string): unknown =>
  field.split('.').reduce<unknown>((value, name) => (value as Item | null | undefined)?.[name], item)

await fill()
await app.webhooks.deliveries.catchUp()
const found = await findLists()

t.test('every list of the document is walked', async t => {
  t.ok(found.length >= 24, `${found.length} lists`)
})

for (const { url, sorts, searched } of found) {
  await t.test(`GET ${url}`, async t => {
    for (const sort of sorts) {
      for (const order of ['asc', 'desc']) {
        const query = `${url}?sort=${sort}&order=${order}`
        const whole = (await read(`${query}&limit=1000`)).items
        t.strictSame(idsOf(await walk(`${query}&limit=1`)), idsOf(whole), `${sort} ${order}`)
        const numbers = whole.map(item => valueOf(item, sort)).filter(value => typeof value === 'number')
        const sorted = numbers.toSorted((a, b) => order === 'asc' ? a - b : b - a)
        t.strictSame(numbers, sorted, `${sort} ${order} is sorted`)
        const { cursor } = await read(`${query}&limit=1`)
        if (cursor === undefined) continue
        for (const changed of [`${query.replace(order, order === 'asc' ? 'desc' : 'asc')}`, `${query}&q=a`]) {
          if (changed.includes('&q=') && searched.length === 0) continue
          const { status, body } = await admin.get(`${changed}&limit=1&cursor=${cursor}`, { headers })
          t.match({ status, body }, { status: 400, body: { code: 'VALIDATION_FAILED' } }, `${changed}: other query`)
        }
      }
    }
    if (searched.length === 0) return
    for (const q of ['o', 'OrD', 'shop', '%', '_', '\\', 'none of them', 'é']) {
      const all = (await read(`${url}?limit=1000`)).items
      const expected = all.filter(item =>
        searched.some(field => String(valueOf(item, field) ?? '').toLowerCase().includes(q.toLowerCase()))
      )
      t.strictSame(
        idsOf(await walk(`${url}?limit=1&q=${encodeURIComponent(q)}`)), idsOf(expected), `q=${q}`
      )
    }
    for (const q of ['', 'x'.repeat(101), '%00']) {
      t.equal((await admin.get(`${url}?q=${q}`, { headers })).status, 400, `q=${q.slice(0, 9)} is refused`)
    }
  })
}
