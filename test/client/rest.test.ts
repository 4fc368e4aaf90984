import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createApiKey } from '../support/api-keys.ts'
import { build, listen } from '../support/build.ts'
import { libraryClient } from '../support/library-clients.ts'
import { startNetwork } from '../support/network.ts'
import { person } from '../support/people.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')
await shop.publish('order.placed', { n: 1 })

type Client = ReturnType<typeof libraryClient>['client']
const read = async (client: Client, signal?: AbortSignal) => {
  const { value } = await client.topic('order.placed').history(signal && { signal }).next()
  return value?.payload
}

t.test('each kind of credential reads over HTTP', async t => {
  const admin = await person(app, 'super_admin')
  const { key } = await createApiKey(admin, shop.applicationId, { permissions: ['admin'] })
  const { applicationId } = shop
  for (const options of [{ token: shop.token() }, { token: key }, { token: admin.token, applicationId }]) {
    t.same(await read(libraryClient(t, { url, ...options }).client), { n: 1 })
  }
  const { client } = libraryClient(t, { url, token: admin.token })
  await t.rejects(read(client), { code: 'APPLICATION_REQUIRED', status: 400 })
})

t.test('a refused token is fetched again once', async t => {
  const tokens = ['no token', shop.token(), 'no token', 'no token', shop.token()]
  let fetched = 0
  const { client } = libraryClient(t, { url, token: () => tokens[fetched++] ?? '' })
  t.same(await read(client), { n: 1 })
  t.equal(fetched, 2)
  await client.setToken(() => tokens[fetched++] ?? '')
  await t.rejects(read(client), { status: 401, code: 'CREDENTIAL_INVALID' })
  t.equal(fetched, 4)
  await t.rejects(read(libraryClient(t, { url, token: 'no token' }).client), { code: 'CREDENTIAL_INVALID' })
})

t.test('reading is repeated while the network is down, and ends with the signal', async t => {
  const network = await startNetwork(t, url)
  const { client } = libraryClient(t, { url: network.url, token: shop.token() })
  network.mode = 'refuse'
  const reading = read(client)
  await until(() => network.connections > 1, 'another attempt')
  network.mode = 'pass'
  t.same(await reading, { n: 1 })
  network.mode = 'refuse'
  network.cut()
  await t.rejects(read(client), { code: 'NETWORK', message: /GET .*order.placed.* cannot be reached/ })
  const controller = new AbortController()
  const aborted = read(client, controller.signal)
  controller.abort(new Error('enough'))
  await t.rejects(aborted, { message: 'enough' })
  await t.rejects(read(client, AbortSignal.abort(new Error('before'))), { message: 'before' })
  const stuck = libraryClient(t, { url, token: () => new Promise<string>(() => {}) }).client
  await t.rejects(read(stuck, AbortSignal.timeout(100)), { name: 'TimeoutError' }, 'also while the token is fetched')
})

t.test('a page of a proxy is an error, and is repeated when its status says that it may pass', async t => {
  const network = await startNetwork(t, url)
  network.mode = 'page'
  const { client } = libraryClient(t, { url: network.url, token: shop.token() })
  await t.rejects(read(client), { code: 'ANSWER_INVALID', status: 200 })
  t.equal(network.connections, 1)
  network.pageStatus = '404 Not Found'
  await t.rejects(read(client), { code: 'ANSWER_INVALID', status: 404 })
  t.equal(network.connections, 2)
  network.pageStatus = '502 Bad Gateway'
  const reading = read(client)
  await until(() => network.connections > 3, 'another attempt')
  network.mode = 'pass'
  t.same(await reading, { n: 1 })
})

t.test('the wait that the server asks for is kept, in seconds or as a date', async t => {
  for (const form of ['seconds', 'date'] as const) {
    const times: number[] = []
    const server = createServer((_request, response) => {
      times.push(performance.now())
      response.setHeader('content-type', 'application/json')
      if (times.length > 1) return response.end('[]')
      // The clock of this server is an hour ahead.
      const now = Date.now() + 3_600_000
      response.writeHead(429, {
        date: new Date(now).toUTCString(),
        'retry-after': form === 'seconds' ? '2' : new Date(now + 2000).toUTCString()
      }).end('{"error":"RateLimitError","code":"RATE_LIMITED","message":"Too many requests"}')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => { server.close() })
    const { port } = server.address() as AddressInfo
    const { client } = libraryClient(t, { url: `http://127.0.0.1:${port}`, token: 'any' })
    await read(client)
    const [first = 0, second = 0] = times
    t.ok(second - first > 1500 && second - first < 60_000, form)
  }
})

t.test('an event whose answer was lost is stored once', async t => {
  const network = await startNetwork(t, url)
  const topic = await shop.topic('order.lost')
  let cuts = 0
  const { client } = libraryClient(t, {
    url: network.url, token: shop.token(), async fetch (address, init) {
      const response = await fetch(address, init)
      // The server has stored the event; its answer does not arrive.
      if (cuts++ < 2) throw new TypeError('terminated')
      return response
    }
  })
  t.match(await client.topic(topic).publish({ n: 1 }), { offset: 1 })
  t.equal(cuts, 3)
  const { body } = await shop.request('GET', `/api/topics/${topic}/events`)
  t.equal(body.length, 1)
})
