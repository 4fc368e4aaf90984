import { memoryStorage, offlineQueue, RealtimeClient, type RealtimeClientOptions } from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* Faults of the application that uses the library must not stop the library. */

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
const topic = await shop.topic('order.placed')

const open = (options: Partial<RealtimeClientOptions> = {}) => {
  const client = new RealtimeClient({ url, token: () => shop.token(), ...options })
  t.teardown(() => client.disconnect())
  return client
}

/** Runs with the errors that would end the process, and returns their messages. */
async function uncaught (run: () => Promise<void>): Promise<string[]> {
  const messages: string[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const listen = (error: Error) => { messages.push(error.message) }
  process.on('uncaughtException', listen)
  try {
    await run()
  } finally {
    process.off('uncaughtException', listen)
    for (const other of others) process.on('uncaughtException', other)
  }
  return messages
}

t.test('a listener of pending writes that throws holds up no write', async t => {
  for (const offline of [undefined, offlineQueue({ name: 'pending', storage: memoryStorage() })]) {
    const client = open(offline === undefined ? {} : { offline })
    const document = client.document<{ n: number }>('cart', offline === undefined ? 'one' : 'two')
    await document.create({ n: 0 })
    const messages = await uncaught(async () => {
      client.pending.subscribe(() => { throw new Error('badge') })
      await document.merge({ n: 1 })
      await document.merge({ n: 2 })
    })
    t.same(document.data, { n: 2 })
    t.ok(messages.length > 0 && messages.every(message => message === 'badge'), 'the error is the application\'s')
    t.equal(client.pending.getSnapshot().count, 0)
  }
})

t.test('onRefused that throws holds up no write', async t => {
  const client = open({
    offline: offlineQueue({
      name: 'refused', storage: memoryStorage(), onRefused () { throw new Error('refused') }
    })
  })
  const document = client.document<{ n: number }>('cart', 'three')
  await document.create({ n: 0 })
  const messages = await uncaught(async () => {
    await t.rejects(document.create({ n: 0 }), { code: 'DOCUMENT_EXISTS' })
    await document.merge({ n: 2 })
  })
  t.same(messages, ['refused'])
})

t.test('a debug tap that throws loses no event', async t => {
  const offsets: number[] = []
  const messages = await uncaught(async () => {
    const client = open({ debug () { throw new Error('tap') } })
    await client.connect()
    await client.topic(topic).subscribe(event => offsets.push(event.offset)).ready
    await client.topic(topic).publish({ n: 1 })
    await client.topic(topic).publish({ n: 2 })
    await until(() => offsets.length === 2, 'the events')
    client.disconnect()
    await new Promise(resolve => setImmediate(resolve))
  })
  t.ok(messages.length > 0)
})

t.test('an offset that is not a number is refused, and nothing is skipped', async t => {
  const orders = open().topic(topic)
  for (const after of ['1', { offset: '1', epoch: 'e' }, null, 1n, { 'order.paid': { offset: 1 } }, {}]) {
    t.throws(() => Reflect.apply(orders.subscribe, orders, [() => {}, { after }]), TypeError, String(after))
  }
  const pattern = open().topic('order.*')
  for (const after of [1, { offset: 1 }]) {
    t.throws(() => Reflect.apply(pattern.subscribe, pattern, [() => {}, { after }]), TypeError)
  }
})

t.test('a store that returns null has no position', async t => {
  const store = { get: () => JSON.parse('null'), set () {} }
  const subscription = open().topic(topic).subscribe(() => {}, { store })
  await subscription.ready
  t.ok(subscription.positions)
})

t.test('a client without a token, or with another kind of URL, is refused at once', async t => {
  t.throws(() => Reflect.construct(RealtimeClient, [{ url }]), { message: 'The token is missing' })
  t.throws(() => new RealtimeClient({ url: 'localhost:3000', token: 'x' }), /http/)
})

t.test('a live document without an id is refused', async t => {
  const client = open()
  for (const id of ['', undefined]) t.throws(() => Reflect.apply(client.document, client, ['cart', id]), TypeError)
})

t.test('a state that is no JSON leaves no membership behind', async t => {
  const room = open().channel('chat:1')
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  await t.rejects(room.join(circular), TypeError)
  t.equal(room.status, 'left')
})

t.test('a credential that is replaced while the client connects is the one that it connects with', async t => {
  const client = open({ token: shop.token(undefined, { subject: 'ada' }) })
  await client.setToken(shop.token(undefined, { subject: 'bob' }))
  await client.connect()
  const room = client.channel('chat:2')
  await room.join({})
  t.equal(room.self?.userId, 'bob')
})
