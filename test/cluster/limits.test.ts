import t from 'tap'
import { eventually, person, requests } from '../people.ts'
import { tenant } from '../tenant.ts'
import { acquainted, startNodes } from './nodes.ts'
import { startRedis } from './redis.ts'

/* Limits hold over all nodes together; while Redis is away, each node limits for itself. */

const redis = await startRedis(t)

t.test('rate limits over nodes', { skip: redis === undefined && 'redis-server is not installed' }, async t => {
  if (redis === undefined) return
  const nodes = await startNodes(t, redis, 2, { variables: { RATE_LIMIT_MAX: '30' } })
  const [one, two] = nodes
  await acquainted(nodes)
  const shop = await tenant(one.app)
  /** How many of so many requests, to the nodes in turn, are let through. */
  const passed = async (token: string, count: number) => {
    const statuses: number[] = []
    for (let i = 0; i < count; i++) statuses.push((await requests((nodes[i % 2] as typeof one).app, `Bearer ${token}`).get('/api/topics')).status)
    if (statuses.some(status => status !== 200 && status !== 429)) throw new Error(statuses.join())
    return statuses.filter(status => status === 200).length
  }

  await t.test('a principal has one budget, whichever node it asks', async t => {
    t.equal(await passed(shop.token(['admin'], { subject: 'a' }), 50), 30)
    t.equal(await passed(shop.token(['admin'], { subject: 'b' }), 20), 20, 'another has its own')
    const refused = await requests(two.app, `Bearer ${shop.token(['admin'], { subject: 'a' })}`).get('/api/topics')
    t.match(refused, { status: 429, body: { code: 'RATE_LIMITED' } })
    t.ok(Number(refused.headers['retry-after']) > 0)
  })

  await t.test('routes with a limit by address share it as well', async t => {
    const attempt = (n: number) => requests((nodes[n % 2] as typeof one).app).post('/api/auth/forgot-password', { email: 'a@example.com' }, { remoteAddress: '203.0.113.5' })
    const statuses: number[] = []
    for (let n = 0; n < 30; n++) statuses.push((await attempt(n)).status)
    t.equal(statuses.filter(status => status < 300).length, 20)
    t.equal(statuses.filter(status => status === 429).length, 10)
  })

  await t.test('wrong passwords count on every node', async t => {
    const ada = await person(one.app, 'viewer')
    const login = (app: typeof one.app, password: string) => requests(app).post('/api/auth/login', { email: ada.email, password })
    for (let n = 0; n < 5; n++) t.equal((await login(one.app, 'wrong')).status, 401)
    await eventually(async () => (await login(two.app, 'wrong')).status === 429)
    t.match(await login(two.app, 'a long pass phrase'), { status: 429 })
  })

  await t.test('while Redis is away each node limits for itself, with what it has counted', async t => {
    const token = shop.token(['admin'], { subject: 'c' })
    t.equal(await passed(token, 20), 20, 'ten on each')
    await redis.kill()
    await eventually(() => nodes.every(({ app }) => app.cluster?.bus.health().isConnected === false))
    t.equal(await passed(token, 60), 40, 'twenty more on each')
    await redis.start()
    await eventually(() => nodes.every(({ app }) => app.cluster?.bus.health().isConnected === true))
    const fresh = shop.token(['admin'], { subject: 'd' })
    await eventually(async () => await passed(shop.token(['admin'], { subject: `probe${Math.random()}` }), 40) === 30)
    t.equal(await passed(fresh, 40), 30, 'then together again')
  })
})
