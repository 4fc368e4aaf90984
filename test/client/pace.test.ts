import t from 'tap'
import { build, listen } from '../support/build.ts'
import { libraryClient, libraryTransports } from '../support/library-clients.ts'
import { startNetwork } from '../support/network.ts'
import { defaultDeliveryLimits } from '../../src/config/delivery-limits.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* The server has its real limits here: 100 requests a second and 200 at once, 1 MiB a second and 4 MiB at once. */

const { requestsPerSecond, bytesPerSecond } = defaultDeliveryLimits
const { app } = await build(t, {
  adapt: ({ delivery }) => { Object.assign(delivery, { requestsPerSecond, bytesPerSecond }) }
})
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')

/** How many frames the server has refused. */
const limited = async () => {
  const { body } = await app.inject('/api/metrics/prometheus')
  return [...body.matchAll(/^realtime_socket_limited_total\{.*\} (\d+)$/gm)]
    .reduce((sum, [, count]) => sum + Number(count), 0)
}

for (const { name, options } of libraryTransports) {
  t.test(`over ${name}, a thousand subscriptions are restored below the pace of the server`, async t => {
    const before = await limited()
    const network = await startNetwork(t, url)
    const { client, changes } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
    await client.connect()
    let begun = 0
    const subscriptions = Array.from({ length: 1000 }, (_, n) =>
      client.topic('order.placed').subscribe(() => {}, { filter: { n } }))
    const ids = () => new Set(subscriptions.map(({ serverId }) => serverId))
    for (const { ready } of subscriptions) ready.then(() => { begun++ }, () => {})
    await until(() => begun === 1000, () => `the subscriptions; ${begun} have begun`)
    const first = ids()
    t.equal(first.size, 1000)
    await until(() => { network.cut(); return client.state !== 'connected' }, 'the cut')
    await until(() => [...ids()].every(id => id !== undefined && !first.has(id)), 'the subscriptions again')
    t.equal(ids().size, 1000)
    t.equal(changes.filter(({ code }) => code === 4429).length, 0)
    t.equal(await limited(), before, 'no request was refused')
  })

  t.test(`over ${name}, large events are sent below the pace of the server`, async t => {
    const before = await limited()
    const { client, changes } = libraryClient(t, { url, token: () => shop.token(), ...options() })
    await client.connect()
    // Two bytes for each character.
    const payload = 'ü'.repeat(50_000)
    const prefix = name.replace(/\W/g, '').toLowerCase()
    const topics = await Promise.all(Array.from({ length: 8 }, (_, i) => shop.topic(`${prefix}.t${i}`)))
    await Promise.all(Array.from({ length: 80 }, (_, i) =>
      client.topic(topics[i % 8] ?? '').publish(payload, { key: String(i), idempotencyKey: `${prefix}-${i}` })))
    t.equal(changes.length, 2)
    t.equal(await limited(), before, 'no request was refused')
  })
}
