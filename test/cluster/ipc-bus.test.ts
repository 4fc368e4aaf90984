import t from 'tap'
import { IpcBus } from '../../src/cluster/ipc/ipc-bus.ts'
import { IpcCounter } from '../../src/cluster/ipc/ipc-counter.ts'
import { createNode } from '../../src/cluster/node.ts'
import { Peers } from '../../src/cluster/peers.ts'
import { SharedRecords } from '../../src/cluster/shared-records.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { startExchange } from '../support/exchange.ts'
import { until } from '../support/waiting.ts'

/* Only the bus between workers does this: the parent knows at once when a worker has died or does not read. */

const silent = { info: () => {}, warn: () => {} }
/** Far longer than a test: only the end of the process can be the reason that a node is gone. */
const settings = { heartbeatMs: 50, leaseMs: 3_600_000, answerMs: 5000, moveMs: 0 }

t.test('a killed worker is gone at once, with its records', async t => {
  const exchange = await startExchange(t)
  const join = async () => {
    const link = await exchange.connect()
    const metrics = createMetrics()
    const bus = new IpcBus({ parent: link.parent, metrics })
    const peers = new Peers({ node: createNode(), bus, settings, metrics, log: silent })
    const records = new SharedRecords(peers)
    t.teardown(() => {
      peers.leave()
      link.parent.close()
    })
    await peers.start()
    await records.complete(settings.answerMs)
    return { ...link, bus, peers, records }
  }
  const [a, b] = [await join(), await join()]
  await until(() => a.peers.count === 1 && b.peers.count === 1)
  const left = new Promise<string[]>(resolve => {
    b.records.observe('', { left: (_node, records) => resolve([...records.keys()]) })
  })
  a.records.set('mine', '')
  await a.records.spread()
  await a.bus.listen('c', () => {}).live
  t.equal(await b.bus.reach('c'), 1)
  a.kill()
  t.same(await left, ['mine'])
  t.same([b.peers.count, await b.bus.reach('c')], [0, 0])
})

t.test('a closed worker leaves no will behind', async t => {
  const exchange = await startExchange(t)
  const [a, b] = [await exchange.connect(), await exchange.connect()]
  const [busA, busB] = [a, b].map(({ parent }) => new IpcBus({ parent, metrics: createMetrics() })) as [IpcBus, IpcBus]
  const heard: string[] = []
  await busB.listen('c', message => heard.push(message)).live
  busA.setWill('c', 'killed')
  await busA.close()
  a.kill()
  const late = await exchange.connect()
  const busLate = new IpcBus({ parent: late.parent, metrics: createMetrics() })
  busLate.setWill('c', 'first')
  busLate.setWill('c', 'second')
  await late.parent.ask('ping', '', 5000)
  late.kill()
  await until(() => heard.length > 0)
  t.same(heard, ['second'], 'the last will counts, and that of a closed worker does not')
  b.parent.close()
})

t.test('a worker that does not read loses messages, learns of it, and holds up no other', async t => {
  const exchange = await startExchange(t)
  const [a, slow, quick] = [await exchange.connect(), await exchange.connect(), await exchange.connect()]
  const metrics = createMetrics()
  const bus = new IpcBus({ parent: a.parent, metrics })
  const slowBus = new IpcBus({ parent: slow.parent, metrics: createMetrics() })
  const quickBus = new IpcBus({ parent: quick.parent, metrics: createMetrics() })
  let restored = 0
  let atQuick = 0
  let atSlow = 0
  slowBus.onRestored(() => { restored++ })
  quickBus.onRestored(() => t.fail('nothing was lost'))
  await slowBus.listen('c', () => { atSlow++ }).live
  await quickBus.listen('c', () => { atQuick++ }).live
  slow.socket.pause()
  const message = 'x'.repeat(1024 ** 2)
  let sent = 0
  while (exchange.dropped < 3) {
    bus.publish('c', message)
    sent++
    await until(() => atQuick === sent)
  }
  slow.socket.resume()
  await until(() => restored === 1)
  t.equal(atSlow, sent - exchange.dropped)
  bus.publish('c', 'again')
  await until(() => atSlow === sent - exchange.dropped + 1)
  t.match(await metrics.registry.metrics(), `realtime_bus_messages_total{outcome="sent"} ${sent + 1}`)
  for (const { parent } of [a, slow, quick]) parent.close()
})

t.test('while the parent is silent, nothing waits for it', async t => {
  const exchange = await startExchange(t)
  const { parent, socket } = await exchange.connect()
  const counter = new IpcCounter(parent)
  t.same((await counter.count('k', 60_000))?.count, 1)
  socket.pause()
  t.equal(await counter.count('k', 60_000), undefined, 'a count ends without an answer')
  await until(() => parent.health().heartbeatAgeMs > 2000)
  t.equal(await counter.count('k', 60_000), undefined)
  socket.resume()
  await until(() => parent.health().heartbeatAgeMs < 2000)
  t.same((await counter.count('k', 60_000))?.count, 3, 'the parent has counted what had arrived')
  parent.close()
  t.equal(await counter.count('k', 60_000), undefined, 'nor for a parent that has gone')
  t.notOk(parent.health().isConnected)
})
