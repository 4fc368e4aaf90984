import { get, type ClientRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { scansMax } from '../../src/delivery/history.ts'
import { build, listen } from '../support/build.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

t.setTimeout(120_000)

const { app } = await build(t)
const url = await listen(app)
const [greedy, other] = [await tenant(app), await tenant(app)]
for (const shop of [greedy, other]) await shop.topic('big')
await greedy.publish('big', ...Array.from({ length: 300 }, () => 'x'.repeat(20_000)))
await other.publish('big', { n: 1 })

/** Holds the reads of one application's log until it is opened, and counts them. */
function holdReads (applicationId: string) {
  const { pool } = app
  const { query } = pool
  let open = () => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  const reads: number[] = []
  pool.query = (async (statement: { name?: string, values?: unknown[] }) => {
    if (statement.name?.startsWith('log_slice') === true && statement.values?.[0] === applicationId) {
      reads.push(Number(statement.values[5]))
      await opened
    }
    return await (query as (statement: object) => Promise<unknown>).call(pool, statement)
  }) as typeof pool.query
  t.teardown(() => { pool.query = query })
  return { reads, open }
}

interface Reading { request: ClientRequest, response: Promise<IncomingMessage | undefined>, isAnswered: boolean }

/** Reads the log with a filter that no event matches, over a connection of its own. */
function readOf ({ token }: { token: () => string }, query = 'filter={"nope":1}'): Reading {
  const request = get(`${url}/api/topics/big/events?${query}`, {
    agent: false, headers: { authorization: `Bearer ${token()}` }
  })
  const reading: Reading = {
    request,
    isAnswered: false,
    response: new Promise(resolve => {
      request.once('response', response => {
        reading.isAnswered = true
        resolve(response)
      })
      request.once('error', () => resolve(undefined))
    })
  }
  return reading
}

const connections = async () => await new Promise<number>((resolve, reject) => {
  app.server.getConnections((error, count) => error === null ? resolve(count) : reject(error))
})

t.test('reads of one application neither block others nor go on for clients that left', async t => {
  const { reads, open } = holdReads(greedy.applicationId)
  const accepted = scansMax.runningOfApplication + scansMax.waitingOfApplication
  const readings = Array.from({ length: 40 }, () => readOf(greedy))
  await until(() => readings.filter(({ isAnswered }) => isAnswered).length === 40 - accepted, 'refusals')
  for (const { response } of readings.filter(({ isAnswered }) => isAnswered)) {
    const refused = await response
    if (refused === undefined) throw new Error('there is a response')
    t.match([refused.statusCode, refused.headers['retry-after'], JSON.parse(await text(refused))], [503, '5', {
      error: 'ServiceUnavailableError', code: 'OVERLOADED'
    }])
  }
  for (const query of ['filter={"n":1}', 'key=none', '']) {
    const read = await other.request('GET', `/api/topics/big/events?${query}`)
    t.equal(read.status, 200, `another application reads with ${query} while all of these wait`)
  }
  t.equal(reads.length, scansMax.runningOfApplication)

  for (const { request } of readings) request.destroy()
  await Promise.all(readings.map(({ response }) => response))
  await until(async () => await connections() === 0, 'the server to see that the clients left')
  open()
  const { status, body } = await greedy.request('GET', '/api/topics/big/events?filter={"nope":1}')
  t.strictSame([status, body], [200, []], 'the application reads again')
  const scanned = reads.slice(scansMax.runningOfApplication)
  t.ok(scanned.length <= 8, `${scanned.length} reads, all of the last request`)
  t.strictSame(scanned.filter(limit => limit === reads[0]).length, 1, 'no other request has started or gone on')
  t.ok(scanned.slice(1).every(limit => limit <= 53), `reads are sized by the events: ${String(scanned)}`)
})

t.test('a read without key or filter also stops for a client that left', async t => {
  const { reads, open } = holdReads(greedy.applicationId)
  const { request, response } = readOf(greedy, 'limit=1000')
  await until(() => reads.length === 1, 'the first read')
  request.destroy()
  t.equal(await response, undefined)
  await until(async () => await connections() === 0, 'the server to see that the client left')
  open()
  const { body } = await greedy.request('GET', '/api/topics/big/events?limit=1000')
  t.ok(Array.isArray(body) && body.length >= 209 && body.length <= 211, 'a page has 4 MiB')
  t.equal(reads.filter(limit => limit === reads[0]).length, 2, 'the first read of each request')
})
