import t from 'tap'
import type { Scope } from '../../schemas/scope.ts'
import { createCatchUp } from '../../src/delivery/catch-up.ts'
import type { FlushReport } from '../../src/delivery/delivery-observer.ts'
import { subscribePattern } from '../../src/delivery/patterns/subscribe-pattern.ts'
import type { Connection } from '../../src/delivery/sockets/connection.ts'
import { SharedMessage } from '../../src/delivery/sockets/transport.ts'
import { subscribe, type SubscribeOptions } from '../../src/delivery/subscribe.ts'
import type {
  ClientSubscription, EndReason, GivenUp, Recipient, ResyncReason, Subscriber
} from '../../src/delivery/subscriber.ts'
import type { LoggedEvent } from '../../src/events/envelope.ts'
import type { Principal } from '../../src/identity/access/principal.ts'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* Delivery runs one way, from the hub to subscribers of any kind. */

const { app } = await build(t)
const url = await listen(app)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
/** Collects what the writer passes to the hub until `resume`. The poll of the log stops as well. */
function interceptHub () {
  const publish = app.hub.publish.bind(app.hub)
  const heard: LoggedEvent[] = []
  app.hub.stopPolling()
  app.hub.publish = events => { heard.push(...events) }
  const resume = () => {
    app.hub.publish = publish
    app.hub.stopPolling()
    app.hub.start()
  }
  t.teardown(resume)
  return { heard, publish, resume }
}
const offsets = (events: readonly LoggedEvent[]) => events.map(({ offset }) => offset)

/** A subscriber that is not a socket. It keeps the events that it receives, or gives all of them up. */
class Collector implements Subscriber {
  readonly id = 'collector'
  readonly scope: Scope
  readonly principal: Principal
  readonly isOpen = true
  readonly hasRoomToSpare = true
  subscriptions: ClientSubscription[] = []
  patternTopics = 0
  isStuck = false
  readonly runs: LoggedEvent[][] = []
  readonly resyncs: ResyncReason[] = []
  readonly ends: EndReason[] = []
  #queue: { event: LoggedEvent, recipient: Recipient }[] = []

  constructor (scope: Scope, principal: Principal) {
    this.scope = scope
    this.principal = principal
  }

  get events () { return this.runs.flat() }

  add (subscription: ClientSubscription): void {
    this.subscriptions.push(subscription)
  }

  remove (subscription: ClientSubscription, reason: EndReason): void {
    this.subscriptions = this.subscriptions.filter(one => one !== subscription)
    this.ends.push(reason)
  }

  countPatternTopics (change: number): void {
    this.patternTopics += change
  }

  enqueue (event: LoggedEvent, recipient: Recipient): boolean {
    return this.#queue.push({ event, recipient }) === 1
  }

  flush (): readonly GivenUp[] {
    const queue = this.#queue
    this.#queue = []
    if (this.isStuck) {
      for (const { event, recipient } of queue) recipient.lost(event.offset)
      return queue.map(({ event }) => ({ event, subscriptions: 1 }))
    }
    if (queue.length > 0) this.runs.push(queue.map(({ event }) => event))
    return []
  }

  resync (subscription: ClientSubscription, reason: ResyncReason): void {
    if (subscription.end(reason.code)) this.resyncs.push(reason)
  }

  async drained (sendPage: (bytesMax: number) => Promise<number>): Promise<void> {
    await sendPage(64 * 1024)
  }
}

const options: SubscribeOptions = {
  hub: app.hub,
  log: app.eventLog,
  limits: app.config.delivery,
  metrics: app.instruments,
  catchUp: createCatchUp({ log: app.eventLog, observer: app.tracing.deliveries }),
  logger: app.log,
  requireTopic: (scope, topic) => app.topics.requireTopic(scope, topic),
  requireRoom () {}
}

async function collectorOf (shop: Tenant): Promise<Collector> {
  return new Collector(shop.scope, await app.authenticator.authenticate(`Bearer ${shop.token()}`))
}

const reports: FlushReport[] = []
const { deliveries } = app.tracing
const flushed = deliveries.flushed.bind(deliveries)
deliveries.flushed = report => {
  reports.push(report)
  flushed(report)
}

await t.test('a subscriber that is not a socket gets the past of a topic and then every event', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  await shop.publish(topic, ...upTo(300))
  const collector = await collectorOf(shop)
  const answers: object[] = []
  await subscribe(options, collector, { topic, after: 0 }, answer => { answers.push(answer) })
  t.match(answers, [{ topic, offset: 0, recovered: true }])
  await shop.publish(topic, ...upTo(50))
  await until(() => collector.events.length >= 350)
  t.same(offsets(collector.events), upTo(350))
  t.equal(collector.runs.at(-1)?.length, 50, 'a batch is one flush')
  const [subscription] = collector.subscriptions
  t.match(subscription?.spans(), { [topic]: { after: 0, until: 350 } })
  subscription?.end()
  t.same(collector.ends, ['UNSUBSCRIBED'])
  t.equal(app.hub.feedOf(shop.scope, topic), undefined, 'the feed closes with its last subscription')
})

await t.test('it gets the topics of a pattern, including those created later', async t => {
  const shop = await tenant(app)
  const one = await shop.topic('order.placed')
  const two = await shop.topic('order.paid')
  await shop.publish(one, ...upTo(3))
  const collector = await collectorOf(shop)
  await subscribePattern(options, collector, { topic: 'order.*', after: { 'order.*': 0 } }, () => {})
  await shop.publish(two, ...upTo(3))
  await until(() => collector.events.length >= 6)
  for (const topic of [one, two]) {
    const ofTopic = collector.events.filter(event => event.topic === topic)
    t.same(offsets(ofTopic), upTo(3), 'in the order of the topic; topics have no order between them')
  }
  t.equal(collector.patternTopics, 2)
  for (const subscription of collector.subscriptions) subscription.end()
  t.equal(collector.patternTopics, 0)
})

await t.test('an early event is held and sent in order, after the events that fill the gap', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('early.events')
  const collector = await collectorOf(shop)
  await subscribe(options, collector, { topic }, () => {})
  const { heard, publish, resume } = interceptHub()
  await shop.publish(topic, ...upTo(10))
  await until(() => heard.length === 10)
  const filled = async () => (await app.instruments.gapsFilled.get()).values[0]?.value ?? 0
  const before = await filled()
  publish(heard.slice(9))
  t.same(collector.runs, [], 'the early event waits for the log')
  publish(heard.slice(0, 4))
  t.same(offsets(collector.events), upTo(4), 'the next event in order does not wait')
  resume()
  await until(() => collector.events.length >= 10)
  t.same(offsets(collector.events), upTo(10))
  t.ok(await filled() > before)
})

await t.test('observers get one report per flush, with the events of every topic', async t => {
  const shop = await tenant(app)
  const topics = [await shop.topic('order.placed'), await shop.topic('order.paid'), await shop.topic('order.sent')]
  const collector = await collectorOf(shop)
  for (const topic of topics) await subscribe(options, collector, { topic }, () => {})
  const subscription = collector.subscriptions[0] as ClientSubscription
  await subscribe(options, collector, { topic: topics[0] as string, filter: { never: 1 } }, () => {})
  const filtered = collector.subscriptions.at(-1) as ClientSubscription
  const { heard, publish, resume } = interceptHub()
  for (const topic of topics) await shop.publish(topic, ...upTo(5))
  await until(() => heard.length === 15)
  reports.length = 0
  publish(heard)
  t.equal(reports.length, 1)
  const [{ routed, givenUp, sent } = { routed: [], givenUp: [], sent: undefined }] = reports
  t.same(routed.map(({ event }) => event.id), heard.map(({ id }) => id), 'in the order of the events')
  t.match(routed[0], { matched: 1, filtered: 1, matchedIds: [subscription.id], filteredIds: [filtered.id] })
  t.match(routed[5], { matched: 1, filtered: 0, matchedIds: [collector.subscriptions[1]?.id], filteredIds: [] })
  t.same(givenUp, [])
  t.ok(sent !== undefined && routed.every(({ routedAt }) => routedAt <= sent.firstAt) && sent.firstAt <= sent.lastAt)
  t.equal(collector.runs.length, 1)
  resume()
})

await t.test('an event that a subscriber gives up is reported as given up, also in its trace', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const [stuck, reading] = [await collectorOf(shop), await collectorOf(shop)]
  for (const collector of [stuck, reading]) await subscribe(options, collector, { topic }, () => {})
  stuck.isStuck = true
  const [event] = await shop.publish(topic, 1)
  await until(() => reading.events.length === 1)
  t.match(
    stuck.subscriptions[0]?.spans(), { [topic]: { after: 0, until: 0 } },
    'the span of the subscription excludes the event'
  )
  const { body } = await shop.request('GET', `/api/debugger/traces/${event?.id}`)
  t.match(body, { matched: 2, deliveries: [{ delivered: 1, givenUp: 1 }] })
})

await t.test('a page of past events that a subscriber gives up is reported, too', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  await shop.publish(topic, ...upTo(5))
  const collector = await collectorOf(shop)
  collector.isStuck = true
  reports.length = 0
  await subscribe(options, collector, { topic, after: 0 }, () => {})
  const givenUp = reports.map(report => report.givenUp.map(({ event, subscriptions }) => [event.offset, subscriptions]))
  t.same(givenUp, [upTo(5).map(offset => [offset, 1])])
})

for (const { name, connect } of transports) {
  await t.test(`an event is sent by its own flush, also behind a queued message (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    const client = await connect(url, { token: shop.token() })
    await client.request('subscribe', { topic })
    const isOwn = ({ scope }: Connection) => scope.applicationId === shop.applicationId
    const connection = [...app.connections.all()].find(isOwn) as Connection
    const { transport } = connection
    const runs: number[] = []
    const sendEvents = transport.sendEvents.bind(transport)
    transport.sendEvents = (run, onTaken) => {
      runs.push(run.length)
      sendEvents(run, onTaken)
    }
    const publish = app.hub.publish.bind(app.hub)
    t.teardown(() => { app.hub.publish = publish })
    app.hub.publish = events => {
      connection.queueMessage(new SharedMessage('message', '{"channel":"room","event":"said","data":null}'))
      publish(events)
      t.same(runs, [2], 'the message and the event')
    }
    await shop.publish(topic, 1)
    t.same((await client.received(1)).map(({ offset }) => offset), [1])
    client.close()
  })
}
