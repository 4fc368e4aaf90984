import t from 'tap'
import { startChild } from '../../bench/children.ts'
import { build, listen, unpinged } from '../support/build.ts'
import type { Crowd } from '../support/crowd.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* All clients reconnect at once. `STORM_CLIENTS=5000` is the full run; test/soak/measure.ts has its figures. */

const clients = Number(process.env['STORM_CLIENTS'] ?? 500)
const missed = 100

const { app } = await build(t, { adapt: ({ delivery }) => { Object.assign(delivery, unpinged) } })
const url = await listen(app)
const crowd = await startChild<Crowd>('../test/support/crowd')
t.teardown(() => crowd.stop())

/** Names of the statements that the pool sends. */
const statements = new Map<string, number>()
const query = app.pool.query.bind(app.pool) as (...args: unknown[]) => unknown
app.pool.query = ((...args: unknown[]) => {
  const name = (args[0] as { name?: string }).name ?? 'other'
  statements.set(name, (statements.get(name) ?? 0) + 1)
  return query(...args)
}) as typeof app.pool.query

for (const transport of ['socket.io', '/ws'] as const) {
  await t.test(`${clients} sockets resume ${missed} events each with few database reads (${transport})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('storm.events')
    const probe = await shop.topic('storm.probe')
    await shop.publish(topic, ...Array.from({ length: 500 }, (_, i) => ({ at: i + 1 })))
    statements.clear()
    const storm = { isOver: false }
    let probes = 0
    const probing = (async () => { while (!storm.isOver) { await shop.publish(probe, probes++) } })()
    await crowd.call('gather', { url, token: shop.token(), transport, clients, topic, after: 500 - missed })
    t.same((await crowd.call('arrival', topic, 500)).faults, [])
    storm.isOver = true
    await probing
    t.ok(probes > 0)
    const counted = (name: string) => statements.get(name) ?? 0
    for (const name of ['log_page', 'log_positions']) {
      t.ok(counted(name) >= 1 && counted(name) < clients / 10, `${counted(name)} × ${name}`)
    }
    const live = await shop.publish(topic, { at: 1 }, { at: 2 })
    t.equal(live.at(-1)?.offset, 502)
    t.same((await crowd.call('arrival', topic, 502)).faults, [], 'afterwards all are live')
    await crowd.call('disperse')
    await until(() => app.connections.size === 0)
  })
}

await t.test('one of many readers stops and is given up, and the others have every event', async t => {
  app.config.delivery.socketBufferBytesMax = 256 * 1024
  const shop = await tenant(app)
  const topic = await shop.topic('stopped.events')
  const token = shop.token()
  await crowd.call('gather', { url, token, transport: '/ws', clients: 200, topic })
  await crowd.call('stopReading', 1)
  let peak = 0
  for (let i = 0; i < 60; i++) {
    await shop.publish(topic, ...Array.from({ length: 25 }, () => ({ at: 1, text: 'x'.repeat(5000) })))
    for (const { transport } of app.connections.all()) peak = Math.max(peak, transport.bufferedBytes)
    // Publishes half the limit, then waits for the readers, so that a delayed reader is not given up as well.
    t.same((await crowd.call('arrival', topic, (i + 1) * 25)).faults, [])
  }
  t.ok(peak < 2 * 1024 * 1024, `${peak} bytes`)
  t.match(await app.instruments.registry.metrics(), /realtime_resyncs_total\{code="SLOW_CONSUMER"\} 1/)
  await crowd.call('disperse')
})
