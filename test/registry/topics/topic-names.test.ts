import t from 'tap'
import { documentTopic, existsByItself, isReserved } from '../../../src/registry/topics/topic-names.ts'

await t.test('four roots are reserved, and only as roots', async t => {
  for (
    const name of [
      'sync', 'sync.session.created', 'socket', 'socket.anything', 'presence.updated', 'system', 'system.x'
    ]
  ) t.ok(isReserved(name), name)
  for (const name of ['session.sync', 'synchrony', 'sync2.session', 'systems.up', 'order']) {
    t.notOk(isReserved(name), name)
  }
})

await t.test("the platform's own topics exist without registration", async t => {
  for (
    const name of [
      documentTopic('session', 'created'), documentTopic('my-service_2', 'updated'), 'sync.s.deleted', 'socket.message',
      'socket.connect', 'socket.disconnect', 'presence.updated', 'system.webhook.deactivated', 'system.alert'
    ]
  ) t.ok(existsByItself(name), name)
  for (
    const name of [
      'sync',
      'sync.session',
      'sync.session.removed',
      'sync.Session.created',
      'sync.2s.created',
      'sync.a.b.created',
      'sync..created',
      `sync.${'s'.repeat(64)}.created`,
      'socket',
      'socket.other',
      'presence',
      'presence.other',
      'system',
      'system.up',
      'system.alert.firing',
      'order.created',
      'sync.session.created\n'
    ]
  ) t.notOk(existsByItself(name), name)
})
