import t from 'tap'
import type { RealtimeEvent } from '../../schemas/events.ts'
import { transports, type Client } from '../support/clients.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, postmasterPid, start, type ServerProcess } from '../support/server-process.ts'
import { setUp } from '../support/shop.ts'
import { until } from '../support/waiting.ts'

/*
 * Invariants 1–3 of the design when the server or its PostgreSQL is killed, with real processes, REST and sockets.
 */

t.setTimeout(600_000)

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const topic = 'order.placed'
const documents = ['a', 'b', 'c']
const writers = 12

/** Writes that the server acknowledged. */
interface Acknowledged {
  events: { n: number, offset: number, id: string }[]
  merges: { id: string, key: string, revision: number }[]
}

let writes = 0
let merges = 0

/** Writes as fast as the server responds, until `isOver`. Returns how many writes were refused with 503. */
async function load (url: string, token: string, acked: Acknowledged, isOver: () => boolean): Promise<number> {
  let refused = 0
  async function publish () {
    const ns = upTo(1 + writes % 3).map(() => ++writes)
    const body = ns.length === 1 ? { payload: { n: ns[0] } } : { events: ns.map(n => ({ payload: { n } })) }
    const answer = await call('POST', `${url}/api/topics/${topic}/events`, { token, body })
    if (answer.status === 201) {
      acked.events.push(
        ...[answer.body as RealtimeEvent].flat().map(({ offset, id }, i) => ({ n: ns[i] as number, offset, id }))
      )
    }
    return answer
  }
  async function merge () {
    // A separate counter: one shared with the publishers could skip some documents in step with their batches.
    const [id, key] = [documents[++merges % documents.length] as string, `k${merges}`]
    const answer = await call('PATCH', `${url}/api/sync/cart/documents/${id}/merge`, {
      token,
      body: { data: { [key]: 1 } }
    })
    if (answer.status === 200) acked.merges.push({ id, key, revision: (answer.body as { revision: number }).revision })
    return answer
  }
  await Promise.all(upTo(writers).map(async i => {
    while (!isOver()) {
      // After a lost connection it is unknown whether the write was stored.
      const answer = await (i % 2 === 0 ? publish() : merge()).catch(() => undefined)
      if (answer?.status === 503) refused++
      else if (answer !== undefined && answer.status >= 300) throw new Error(JSON.stringify(answer.body))
    }
  }))
  return refused
}

/** Follows the topic over every restart and records each offset that arrives. */
class Follower {
  readonly name: string
  readonly seen: number[] = []
  readonly #connect: (typeof transports)[number]['connect']
  #client: Client | undefined
  #before = 0
  #epoch: string | undefined

  constructor ({ name, connect }: (typeof transports)[number]) {
    this.name = name
    this.#connect = connect
  }

  async follow (url: string, token: string): Promise<boolean> {
    await this.#client?.closed
    this.#take()
    this.#client = await this.#connect(url, { token })
    this.#before = this.seen.length
    const epoch = this.#epoch === undefined ? {} : { epoch: this.#epoch }
    const ack = await this.#client.request('subscribe', { topic, after: this.seen.at(-1) ?? 0, ...epoch })
    this.#epoch = ack.epoch
    return ack.recovered
  }

  async reach (offset: number): Promise<number[]> {
    await this.#client?.received(offset - this.#before)
    this.#take()
    return this.seen
  }

  close () { this.#client?.close() }

  #take () {
    const offsets = this.#client?.events.map(event => event.offset) ?? []
    this.seen.push(...offsets.slice(this.seen.length - this.#before))
  }
}

async function readLog (url: string, token: string, name: string): Promise<RealtimeEvent[]> {
  const events: RealtimeEvent[] = []
  for (let after: string | null = '0'; after !== null;) {
    const page = await call('GET', `${url}/api/topics/${name}/events?limit=1000&after=${after}`, { token })
    events.push(...page.body as RealtimeEvent[])
    after = page.headers.get('x-next-cursor')
  }
  return events
}

/** Checks that acknowledged writes are stored, logs have no gap, and documents agree with their events. */
async function verify (t: Tap, url: string, token: string, acked: Acknowledged): Promise<number> {
  const log = await readLog(url, token, topic)
  t.same(log.map(event => event.offset), upTo(log.length), 'offsets have no gap')
  const lost = acked.events.filter(({ n, offset, id }) =>
    log[offset - 1]?.id !== id || (log[offset - 1]?.payload as { n: number }).n !== n
  )
  t.same(lost, [], `each of ${acked.events.length} acknowledged events is there, at its offset`)
  t.equal(new Set(log.map(event => event.id)).size, log.length, 'no event is stored twice')

  const changes = await readLog(url, token, 'sync.cart.updated')
  t.same(changes.map(event => event.offset), upTo(changes.length), 'offsets of documents have no gap')
  for (const id of documents) {
    const { revision, data } = await made<{ revision: number, data: Record<string, number> }>(
      call('GET', `${url}/api/sync/cart/documents/${id}`, { token })
    )
    const own = changes.filter(event => event.key === id)
    t.same(
      own.map(event => (event.payload as { revision: number }).revision),
      upTo(revision, 2),
      `document ${id}: each revision has its event, in order`
    )
    const merges = acked.merges.filter(merge => merge.id === id)
    t.same(
      merges.filter(({ key, revision: at }) => data[key] !== 1 || at > revision),
      [],
      `and contains each of ${merges.length} acknowledged merges`
    )
    t.equal(new Set(merges.map(merge => merge.revision)).size, merges.length, 'each has its own revision')
    t.same(
      (own.at(-1)?.payload as { data: unknown } | undefined)?.data, data, 'the last event contains the current document'
    )
  }
  return log.length
}
type Tap = Pick<typeof t, 'same' | 'equal'>

t.test('a server killed repeatedly under load keeps everything that it acknowledged', async t => {
  const dataDir = await dataFolder(t)
  const acked: Acknowledged = { events: [], merges: [] }
  const followers = transports.map(transport => new Follower(transport))
  let server = await start(t, { dataDir })
  const { token } = await setUp(server.address)
  await prepare(server.address, token)
  for (const round of upTo(4)) {
    for (const follower of followers) {
      t.equal(await follower.follow(server.address, token), true, `${follower.name} misses nothing`)
    }
    const wanted = acked.events.length + acked.merges.length + 50 + Math.floor(Math.random() * 400)
    const killed = server
    let isOver = false
    const loading = load(server.address, token, acked, () => isOver)
    await until(() => acked.events.length + acked.merges.length >= wanted, 'acknowledged writes')
    const orphan = await postmasterPid(dataDir)
    killed.kill('SIGKILL')
    await killed.exit
    isOver = true
    await loading
    t.ok(
      orphan !== undefined && orphan === await postmasterPid(dataDir),
      `round ${round}: the database outlives the server`
    )
    server = await start(t, { dataDir })
    t.not(await postmasterPid(dataDir), orphan, 'the next start has replaced it')
  }
  const head = await verify(t, server.address, token, acked)
  for (const follower of followers) {
    await follower.follow(server.address, token)
    t.same(await follower.reach(head), upTo(head), `${follower.name} has every offset once, in order`)
    follower.close()
  }
})

t.test('when PostgreSQL is killed, requests get 503 until it is back, and nothing is lost', async t => {
  const dataDir = await dataFolder(t)
  const acked: Acknowledged = { events: [], merges: [] }
  const server = await start(t, { dataDir })
  const url = server.address
  const { token } = await setUp(url)
  await prepare(url, token)
  const followers = transports.map(transport => new Follower(transport))
  for (const follower of followers) await follower.follow(url, token)
  let isOver = false
  const loading = load(url, token, acked, () => isOver)
  for (const round of upTo(2)) {
    const before = acked.events.length
    await until(() => acked.events.length >= before + 100, 'acknowledged writes')
    const pid = await postmasterPid(dataDir)
    process.kill(pid as number, 'SIGKILL')
    await until(async () => (await postmasterPid(dataDir) ?? pid) !== pid, `round ${round}: another postmaster`)
    const after = acked.events.length
    await until(() => acked.events.length > after, 'service to resume')
  }
  isOver = true
  const refused = await loading
  t.ok(server.isRunning, 'the server keeps running')
  t.ok(refused > 0, `${refused} writes were refused with 503, none otherwise`)
  const head = await verify(t, url, token, acked)
  for (const follower of followers) {
    t.same(
      await follower.reach(head),
      upTo(head),
      `${follower.name} stayed connected and has every offset once, in order`
    )
    follower.close()
  }
  await stopsInOrder(t, server, dataDir)
})

async function prepare (url: string, token: string): Promise<void> {
  await made(call('POST', `${url}/api/topics`, { token, body: { name: topic, description: 'A test', owner: 'tests' } }))
  for (const id of documents) {
    await made(call('POST', `${url}/api/sync/cart/documents`, { token, body: { id, data: {} } }))
  }
}

async function stopsInOrder (t: Tap, server: ServerProcess, dataDir: string): Promise<void> {
  server.kill('SIGTERM')
  t.same(await server.exit, { code: 0, signal: null }, 'and stops as usual')
  t.equal(await postmasterPid(dataDir), undefined, 'with its second PostgreSQL')
}
