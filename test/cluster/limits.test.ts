import t from 'tap'
import { password, person, requests } from '../support/people.ts'
import { nodeLinks } from '../support/node-links.ts'
import { tenant } from '../support/tenant.ts'
import { eventually } from '../support/waiting.ts'
import { acquainted, startNodes } from '../support/nodes.ts'

/*
 * Limits apply to all nodes together. While Redis is unavailable, each node limits by itself. A node does the same for
 * a second after a late answer of Redis, so checks of shared counts are retried with a fresh principal until they hold.
 */

const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`rate limits over nodes, over ${link.name}`, async t => {
    const nodes = await startNodes(t, link, 2, { variables: { RATE_LIMIT_MAX: '30' } })
    const [one, two] = nodes
    await acquainted(nodes)
    const shop = await tenant(one.app)
    /** Returns how many of `count` requests, alternating between the nodes, are admitted. */
    const passed = async (token: string, count: number) => {
      const statuses: number[] = []
      for (let i = 0; i < count; i++) {
        statuses.push((await requests((nodes[i % 2] as typeof one).app, `Bearer ${token}`).get('/api/topics')).status)
      }
      if (statuses.some(status => status !== 200 && status !== 429)) throw new Error(statuses.join())
      return statuses.filter(status => status === 200).length
    }

    await t.test('a principal has one budget for all nodes', async t => {
      let round = 0
      const refused = await eventually(async () => {
        const token = shop.token(['admin'], { subject: `a${round++}` })
        if (await passed(token, 50) !== 30) return undefined
        const more = await requests(two.app, `Bearer ${token}`).get('/api/topics')
        return more.status === 429 && more
      })
      t.match(refused, { status: 429, body: { code: 'RATE_LIMITED' } })
      t.equal(await passed(shop.token(['admin'], { subject: 'b' }), 20), 20, 'another principal has its own')
      t.ok(Number(refused.headers['retry-after']) > 0)
    })

    await t.test('routes with a limit by address share it as well', async t => {
      let round = 0
      const statuses = await eventually(async () => {
        const remoteAddress = `203.0.113.${++round}`
        const statuses: number[] = []
        for (let n = 0; n < 30; n++) {
          statuses.push(
            (await requests((nodes[n % 2] as typeof one).app).post('/api/auth/forgot-password', {
              email: 'a@example.com'
            }, { remoteAddress })).status
          )
        }
        return statuses.filter(status => status < 300).length === 20 && statuses
      })
      t.equal(statuses.filter(status => status === 429).length, 10)
    })

    await t.test('wrong passwords count on every node', async t => {
    // The first wait is a second. This machine may need that long for an attempt; then another user tries.
      let round = 0
      await eventually(async () => {
        const ada = await person(one.app, 'viewer')
        // Each round uses its own network, because failures count by address and network as well.
        const remoteAddress = `198.51.${round++}.7`
        const login = async (app: typeof one.app, password: string) =>
          (await requests(app).post('/api/auth/login', { email: ada.email, password }, { remoteAddress })).status
        for (let n = 0; n < 5; n++) t.equal(await login(one.app, 'wrong'), 401)
        let taken = 0
        while (taken < 5 && await login(two.app, 'wrong') === 401) taken++
        // After five failures of its own, the node would refuse without the other.
        return taken < 5 && await login(two.app, password) === 429
      })
    })

    const { redis } = link
    if (redis === undefined) return

    await t.test('while Redis is unavailable each node limits by itself, with its own counts', async t => {
      const token = shop.token(['admin'], { subject: 'c' })
      t.equal(await passed(token, 20), 20, 'ten on each')
      await redis.kill()
      await eventually(() => nodes.every(({ app }) => app.cluster.bus.health().isConnected === false))
      t.equal(await passed(token, 60), 40, 'twenty more on each')
      await redis.start()
      await eventually(() => nodes.every(({ app }) => app.cluster.bus.health().isConnected === true))
      // Together again.
      await eventually(async () => await passed(shop.token(['admin'], { subject: `probe${Math.random()}` }), 40) === 30)
    })
  })
}
