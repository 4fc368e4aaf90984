import { answerCalls } from '../children.ts'
import { encodeRequest, HttpConnection } from './http-connection.ts'
import { Subscriber, type TransportName } from './subscriber.ts'

export interface Audience {
  url: string
  transport: TransportName
  token: string
  topic: string
  clients: number
  /** Subscriptions per client. Several have a filter `{group: 0…}` each. */
  subscriptionsPerClient?: number
}

export interface DeliveriesRound { deliveries: number, seconds: number }

const connectingAtOnce = 50
const roundTimeoutMs = 60_000
/** About 550 bytes with the envelope. */
const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

const subscribers: Subscriber[] = []
let audience: Audience
let publishers: HttpConnection[] = []
let deliveries = 0
let expected = 0
let onAll: () => void = () => {}
let fault: Error | undefined
let published = 0

/** Connects more clients. */
async function gather (wanted: Audience, publisherConnections = 1): Promise<void> {
  audience = wanted
  const { clients, topic, subscriptionsPerClient = 1 } = wanted
  for (let i = 0; i < clients; i += connectingAtOnce) {
    await Promise.all(Array.from({ length: Math.min(connectingAtOnce, clients - i) }, async () => {
      const subscriber = new Subscriber({
        ...wanted,
        onEvent: () => { if (++deliveries === expected) onAll() },
        onFault: message => { fault ??= new Error(message); onAll() }
      })
      subscribers.push(subscriber)
      for (let group = 0; group < subscriptionsPerClient; group++) {
        await subscriber.subscribe(topic, subscriptionsPerClient === 1 ? undefined : { group })
      }
    }))
  }
  publishers = await Promise.all(Array.from({ length: publisherConnections }, () => HttpConnection.open(wanted.url)))
}

/**
 * Publishes to a topic without subscribers, so that the code path to the fan-out is compiled before the measurement.
 */
async function warmUp (topic: string, requests: number): Promise<void> {
  const { url, token } = audience
  const bytes = encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body: JSON.stringify({ payload }) })
  const [publisher] = publishers
  for (let i = 0; i < requests; i++) await publisher?.request(bytes)
}

/**
 * Publishes batches of events. The next one follows when the last has reached every client or, with several publishing
 * connections, as fast as they are acknowledged. Ends when every client has every event.
 */
async function round (batches: number, batch: number): Promise<DeliveriesRound> {
  const { url, token, topic, clients } = audience
  const path = `/api/topics/${topic}/events`
  const requests = Array.from({ length: audience.subscriptionsPerClient ?? 1 }, (_, group) => {
    const event = { payload: { ...payload, group } }
    return encodeRequest(url, 'POST', path, {
      token, body: JSON.stringify(batch === 1 ? event : { events: Array.from({ length: batch }, () => event) })
    })
  })
  const total = clients * batch * batches
  deliveries = 0
  const begin = performance.now()
  let left = batches
  // The server may have closed some while the other side had its turn.
  publishers = await Promise.all(publishers.map(async one => one.isOpen ? one : await HttpConnection.open(url)))
  const all = publishers.length > 1 ? arrival(total) : undefined
  await Promise.all(publishers.map(async publisher => {
    while (left-- > 0) {
      const reached = publishers.length === 1 ? arrival(deliveries + clients * batch) : undefined
      const { status, body } = await publisher.request(requests[published++ % requests.length] as Buffer)
      if (status !== 201) throw new Error(`publish answered ${status} ${body.toString().slice(0, 300)}`)
      await reached
    }
  }))
  await all
  const seconds = (performance.now() - begin) / 1000
  if (deliveries !== total || subscribers.some(({ events }) => events !== subscribers[0]?.events)) {
    throw new Error(`lost or doubled: ${deliveries} of ${total}`)
  }
  return { deliveries, seconds }
}

/** Publishes single events one after the other, for clients of other generators. */
async function publish (events: number): Promise<void> {
  const { url, token, topic } = audience
  const bytes = encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body: JSON.stringify({ payload }) })
  for (let i = 0; i < events; i++) {
    const { status, body } = await (publishers[0] as HttpConnection).request(bytes)
    if (status !== 201) throw new Error(`publish answered ${status} ${body.toString().slice(0, 300)}`)
  }
}

/** Resolves when every client of this generator has received `count` more events since the last call. */
async function reached (events: number): Promise<void> {
  const total = settled + events * subscribers.length
  if (deliveries < total) await arrival(total)
  settled = total
}
let settled = 0

/** Closes every client. */
function disperse (): void {
  for (const subscriber of subscribers.splice(0)) subscriber.close()
}

/** Resolves when the expected number of deliveries has arrived. Rejects if one is wrong or no more arrive. */
function arrival (count: number): Promise<void> {
  expected = count
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`lost: ${deliveries} of ${expected} deliveries`)), roundTimeoutMs)
    onAll = () => {
      clearTimeout(timer)
      if (fault === undefined) resolve()
      else reject(fault)
    }
  })
}

const methods = { gather, warmUp, round, publish, reached, disperse }
export type SocketsLoad = typeof methods
answerCalls(methods)
