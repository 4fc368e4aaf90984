import type {
  AlertPayload, DocumentDiffPayload, DocumentPayload, EventOf, FilterOf, PayloadOf, RealtimeClient, RealtimeEvent
} from '@realtime-platform/client'
import { expectTypeOf } from 'expect-type'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, recorder } from '../support/streams.ts'

const { app } = await build(t)
const url = await listen(app)

/* The compiler checks most of this file: a wrong type fails the build. */

/** As `GET /api/schemas/types.ts` prints it: an interface without an index signature. */
interface TopicMap {
  'order.placed': {
    total: number
    status: 'paid' | 'open'
    customer: { id: string, address?: { city: string } }
    items: { sku: string, count: number }[]
    note?: string | null
    extra: { [key: string]: unknown }
  }
  'order.paid': { amount: number }
  'order.paid.late': { days: number }
  'stock.moved': unknown
}
type Client = RealtimeClient<TopicMap>
type Filter = FilterOf<TopicMap['order.placed']>

t.test('topics, payloads and filters are typed by the TopicMap', async t => {
  expectTypeOf<PayloadOf<TopicMap, 'order.placed'>>().toEqualTypeOf<TopicMap['order.placed']>()
  expectTypeOf<PayloadOf<TopicMap, 'order.*'>>().toEqualTypeOf<TopicMap['order.placed' | 'order.paid']>()
  expectTypeOf<PayloadOf<TopicMap, 'order.**'>>()
    .toEqualTypeOf<TopicMap['order.placed' | 'order.paid' | 'order.paid.late']>()
  expectTypeOf<PayloadOf<TopicMap, '*.paid'>>().toEqualTypeOf<{ amount: number }>()
  expectTypeOf<PayloadOf<TopicMap, 'order.*.late'>>().toEqualTypeOf<{ days: number }>()
  expectTypeOf<PayloadOf<TopicMap, '**'>>().toBeUnknown()
  expectTypeOf<PayloadOf<Omit<TopicMap, 'stock.moved'>, '**'>>().extract<{ days: number } | AlertPayload>()
    .toEqualTypeOf<{ days: number } | AlertPayload>()
  expectTypeOf<PayloadOf<TopicMap, 'system.alert'>>().toEqualTypeOf<AlertPayload>()
  expectTypeOf<PayloadOf<TopicMap, 'sync.cart.updated'>>().toEqualTypeOf<DocumentPayload>()
  expectTypeOf<PayloadOf<TopicMap, 'sync.cart.*'>>().toEqualTypeOf<DocumentPayload>()
  expectTypeOf<EventOf<TopicMap, 'order.placed'>>().toExtend<RealtimeEvent<TopicMap['order.placed']>>()

  const checked = (client: Client) => {
    client.topic('order.placed').subscribe(event => {
      expectTypeOf(event.payload.customer.id).toBeString()
      expectTypeOf(event.topic).toEqualTypeOf<'order.placed'>()
    }, { filter: { 'customer.address.city': 'Bern', total: { gte: 20 }, 'items.0.sku': { prefix: 'lamp-' } } })
    client.topic('order.*').subscribe(event => {
      if (event.topic === 'order.paid') expectTypeOf(event.payload).toEqualTypeOf<{ amount: number }>()
    })
    client.topic('sync.cart.updated').subscribe(event => {
      expectTypeOf(event.payload).toEqualTypeOf<DocumentDiffPayload>()
    }, { returnMode: 'diff' })
    client.topic('sync.cart.updated').subscribe(event => {
      expectTypeOf(event.payload).toEqualTypeOf<DocumentPayload>()
    })
    expectTypeOf(client.topic('order.paid').publish).parameter(0).toEqualTypeOf<{ amount: number }>()
    expectTypeOf(client.topic('order.paid').history()).toExtend<AsyncIterable<RealtimeEvent<{ amount: number }>>>()
    for (const topic of ['order.paid', 'order.*', 'system.alert'] as const) client.subscribe({ topic })
    // @ts-expect-error -- The topic does not exist.
    client.subscribe({ topic: 'order.plced' })
    // @ts-expect-error -- The topic does not exist.
    client.topic('order.plced')
    // @ts-expect-error -- The pattern matches no topic.
    client.topic('odrer.*')
    // @ts-expect-error -- The platform has no such topic.
    client.topic('system.alerts')
    // @ts-expect-error -- The payload has no such field.
    client.topic('order.placed').subscribe(() => {}, { filter: { 'customer.name': 'Ada' } })
    // @ts-expect-error -- A number is compared with a text.
    client.topic('order.placed').subscribe(() => {}, { filter: { total: '20' } })
    // @ts-expect-error -- There is no such operator.
    client.topic('order.placed').subscribe(() => {}, { filter: { total: { near: 20 } } })
    // @ts-expect-error -- `prefix` is for texts.
    client.topic('order.placed').subscribe(() => {}, { filter: { total: { prefix: '2' } } })
    // @ts-expect-error -- There is no such status.
    client.topic('order.placed').subscribe(() => {}, { filter: { status: { in: ['lost'] } } })
    // @ts-expect-error -- The payload lacks a field.
    return client.topic('order.paid').publish({})
  }
  t.type(checked, Function)

  expectTypeOf<{
    status: 'paid', total: 3, 'customer.id': { ne: 'c1' }, 'items.0': { exists: true }, note: null, 'extra.any.thing': 1
  }>().toExtend<Filter>()
})

t.test('without a TopicMap, every topic and payload is accepted', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name: string = await topic('order.placed')
  const { seen, handler, has } = recorder()
  await client.topic(name).subscribe(event => {
    expectTypeOf(event.payload).toBeAny()
    handler(event)
  }, { filter: { 'any.path': { gte: 1 } } }).ready
  await client.topic(name).publish({ any: { path: 1 } })
  await publish(name, { any: { path: 0 } }, { any: { path: 2 } })
  await has(2)
  t.same(seen, [{ any: { path: 1 } }, { any: { path: 2 } }])
})

t.test('typed filters and modes have the same effect at run time', async t => {
  const { topic, publish, open, request } = await openStreams(t, app, url)
  const client: Client = open()
  const name = await topic('order.placed')
  const { seen, handler, has } = recorder()
  const documents = recorder()
  await Promise.all([
    client.topic(name as 'order.placed').subscribe(handler, { filter: { 'items.0.sku': { prefix: 'lamp-' } } }).ready,
    client.topic('sync.cart.*').subscribe(documents.handler, { returnMode: 'diff' }).ready
  ])
  await publish(name, { items: [{ sku: 'chair-1' }] }, { items: [{ sku: 'lamp-1' }] })
  t.equal((await request('POST', '/api/services', { name: 'cart' })).status < 300, true)
  await request('PUT', '/api/sync/cart/documents/c1', { data: { n: 1 } })
  await request('POST', '/api/sync/cart/documents', { id: 'c2', data: { n: 1 } })
  await has(1)
  await documents.has(1)
  t.same(seen, [{ items: [{ sku: 'lamp-1' }] }])
  t.match(documents.seen[0], { service: 'cart', diff: Array })
})
