import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Pool } from 'undici'
import { errorCodes } from '../../src/errors.ts'
import { testKey } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { faultOf, faultOfRefusal, operations, type Operation } from '../support/openapi-document.ts'
import { Random } from '../support/random.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { administrator } from '../support/shop.ts'
import { createSource } from '../support/source-database.ts'
import { exchange, rawRequest } from './raw-http.ts'
import { makeRequest, type Asker, type Request } from './requests.ts'
import { Creator } from './world.ts'

/*
 * Sends requests made from openapi.json, valid ones and ones with a few errors, over HTTP to a server in its own
 * process. Whatever it receives, the server responds as documented, reveals no internals, and keeps running.
 * `FUZZ_REQUESTS=100000` is the full run (npm run test:fuzz); `FUZZ_SEED` repeats a run.
 */

const count = Number(process.env['FUZZ_REQUESTS'] ?? 2500)
const seed = Number(process.env['FUZZ_SEED'] ?? 20261124)
const underWay = 4
/** After this many requests the world is checked, and deleted resources are created again. */
const round = 500
t.setTimeout(Math.max(180_000, count * 20))

/** Text that a response must not contain: a stack, a file path, a version, a driver's message. */
const leaks = [
  /node_modules/,
  /\bat .{0,80}\(?(?:file:\/\/|\/)[^ ]+:\d+:\d+/,
  /\/(?:dist|src|tmp|home|root|usr|var)\//,
  /\bnode\/?v?\d+\.\d/i,
  /PostgreSQL \d/,
  /\b(?:fastify|undici|pg|kysely|ajv)[@/]\d/,
  /syntax error at|violates [\w-]+ constraint|invalid input syntax|relation "|invalid byte sequence/,
  /\bTypeError\b|\bRangeError\b|\bis not a function\b|Cannot read propert/
]
const askers: readonly Asker[] = ['session', 'session', 'token', 'token', 'nobody']

const sink = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(request.url === '/slow' ? 500 : 204).end())
}).listen(0, '127.0.0.1')
t.teardown(() => { sink.close(); sink.closeAllConnections() })
await once(sink, 'listening')

const source = await createSource(t)
await source.sql('create table sessions (id bigint primary key, status text, ended_at timestamptz)')
const server = await start(t, {
  dataDir: await dataFolder(t),
  // Each request comes from another address, through X-Forwarded-For, so that limits by address do not dominate.
  variables: {
    DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey, TRUST_PROXY: '127.0.0.1',
    WEBHOOK_ALLOW_PRIVATE: 'true', LOG_LEVEL: 'error'
  }
})
const { setupToken } = await server.ready()
const { sessionToken } = await made<{ sessionToken: string }>(
  call('POST', `${server.address}/api/auth/setup`, { body: { ...administrator, setupToken } })
)
const creator = new Creator({
  url: server.address,
  sourceUrl: source.url,
  sinkUrl: `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`
}, sessionToken)
const pool = new Pool(server.address, { connections: underWay, pipelining: 1, headersTimeout: 20_000 })
t.teardown(() => pool.destroy())

let world = await creator.world()
const problems: string[] = []
/** Excludes requests that are slow on purpose: password hashing, and look-ups of unknown keys. */
const latenciesMs: number[] = []
const hashing = new Set(['setup', 'login', 'resetPassword', 'acceptInvite', 'createUser', 'changePassword'])
const byOperation = new Map<string, { asked: number, succeeded: number, ms: number }>()
const statuses: Record<number, number> = {}

interface Answer { status: number, headers: Record<string, string | string[] | undefined>, body: string }

async function ask ({ method, target, headers, body }: Request, n: number): Promise<Answer> {
  const answer = await pool.request({
    path: target,
    method: method as 'GET',
    headers: { 'x-forwarded-for': `10.${n >> 16 & 255}.${n >> 8 & 255}.${n & 255}`, ...headers },
    body: body ?? null
  })
  if (String(answer.headers['content-type']).startsWith('text/event-stream')) {
    answer.body.on('error', () => {}).destroy()
    return { status: answer.statusCode, headers: answer.headers, body: '' }
  }
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() }
}

/** Returns what is wrong with a response, if anything. */
function judge (operation: Operation, request: Request, { status, headers, body }: Answer): string | undefined {
  const type = String(headers['content-type'] ?? '')
  if (status === 500 || (status > 500 && status !== 503)) return 'a server error'
  if (status === 503 && (headers['retry-after'] === undefined || !body.includes('"SOURCE_UNAVAILABLE"'))) {
    return 'is unavailable although nothing is down'
  }
  const said = `${JSON.stringify(headers)} ${body}`
  const leak = leaks.find(one => one.test(said))
  // The test of a connection reports details of the tenant's own database.
  if (leak !== undefined && !isEcho(request, leak) && operation.id !== 'testDatabaseConnection') {
    return `tells ${String(leak)}`
  }
  if (headers['server'] !== undefined || headers['x-powered-by'] !== undefined) return 'names the server software'
  if (status >= 400 && status !== 503) {
    const fault = request.method === 'HEAD' ? undefined : faultOfRefusal(body)
    if (fault !== undefined) return `is not an error response: ${fault}`
    const { code = '' } = request.method === 'HEAD' ? {} : JSON.parse(body) as { code?: string }
    if (request.method !== 'HEAD' && !Object.hasOwn(errorCodes, code)) return `has an unknown code: ${code}`
    if (body.length > 10_000) return 'a response as long as the request'
  }
  // With another method or fewer path segments, the request may match another operation.
  if (!request.isRouted) return undefined
  if (type.startsWith('text/event-stream')) return operation.answers['200'] === undefined ? 'a stream' : undefined
  if (request.asker === 'nobody' && !operation.isPublic && status !== 401) return 'no session was created'
  return faultOf(operation, status, type, body)
}

const isEcho = ({ target, body = '' }: Request, leak: RegExp) => leak.test(decode(target)) || leak.test(String(body))
function decode (target: string): string {
  try {
    return decodeURIComponent(target)
  } catch {
    return target
  }
}

async function one (n: number): Promise<void> {
  const operation = operations[n % operations.length] as Operation
  const asker = askers[Math.floor(n / operations.length) % askers.length] as Asker
  const request = makeRequest(operation, asker, world, seed + n)
  const begin = performance.now()
  let answer: Answer
  try {
    answer = await ask(request, n)
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    // A body that is rejected before it has arrived ends the connection, perhaps before the response is read.
    const isCut = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(code) &&
      String(request.body ?? '').length > 1_000_000
    if (!isCut) problems.push(`${n} ${request.method} ${request.target.slice(0, 200)}: ${code} ${message}`)
    return
  }
  const ms = performance.now() - begin
  if (!hashing.has(operation.id) && !(asker === 'token' && answer.status === 401)) latenciesMs.push(ms)
  statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
  const record = byOperation.get(operation.id) ?? { asked: 0, succeeded: 0, ms: 0 }
  byOperation.set(operation.id, {
    asked: record.asked + 1, succeeded: record.succeeded + Number(answer.status < 300 && request.isRouted),
    ms: record.ms + ms
  })
  const problem = judge(operation, request, answer)
  if (problem === undefined) return
  problems.push(
    `${n} ${operation.id} by ${asker}: ${problem}\n  ${request.method} ${request.target.slice(0, 300)} ${
      JSON.stringify({ ...request.headers, authorization: undefined }).slice(0, 300)
    } ${String(request.body ?? '').slice(0, 300)}\n  ${answer.status} ${answer.body.slice(0, 400)}`
  )
}

async function memory (): Promise<{ resident: number, heap: number }> {
  const text = await (await fetch(`${server.address}/api/metrics/prometheus`)).text()
  const metric = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
  return { resident: metric('process_resident_memory_bytes'), heap: metric('nodejs_heap_size_used_bytes') }
}

await t.test(`${count} requests (FUZZ_SEED=${seed})`, async t => {
  const memories: Awaited<ReturnType<typeof memory>>[] = []
  for (let first = 0; first < count && problems.length < 50 && server.isRunning; first += round) {
    if (!await creator.isWhole(world)) world = await creator.world()
    let next = first
    const last = Math.min(first + round, count)
    await Promise.all(Array.from({ length: underWay }, async () => { while (next < last) await one(next++) }))
    memories.push(await memory())
  }
  t.same(problems.slice(0, 20), [])
  t.ok(server.isRunning, 'the server runs')
  t.same(
    [...server.output.matchAll(/^.*(?:request\.failed|server\.crashed|unhandled|uncaught).*$/gim)].map(([line]) => line)
      .slice(0, 5),
    [],
    'the server logged no internal error'
  )
  t.same(
    operations.filter(({ id }) => (byOperation.get(id)?.asked ?? 0) === 0).map(({ id }) => id), [],
    'every operation was requested'
  )
  const never = operations.filter(({ id }) => byOperation.get(id)?.succeeded === 0).map(({ id }) => id)
  t.ok(
    never.length < operations.length / 3,
    `${operations.length - never.length} of ${operations.length} operations have succeeded now and then; not ${
      never.join(' ')
    }`
  )

  latenciesMs.sort((a, b) => a - b)
  const quantile = (q: number) => latenciesMs[Math.floor(latenciesMs.length * q)]?.toFixed(1)
  t.comment(`statuses ${JSON.stringify(statuses)}`)
  t.comment(`latency p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, max ${quantile(0.99999)} ms`)
  t.comment(
    `slowest on average: ${
      [...byOperation].sort(([, a], [, b]) => b.ms / b.asked - a.ms / a.asked).slice(0, 8).map(([id, { ms, asked }]) =>
        `${id} ${(ms / asked).toFixed(1)} ms`
      ).join(', ')
    }`
  )
  const mb = (bytes = 0) => Math.round(bytes / 1e6)
  // The live memory is the minimum over a period.
  const least = (part: typeof memories) => Math.min(...part.map(({ heap }) => heap))
  const third = Math.ceil(memories.length / 3)
  const [settled, last] = [least(memories.slice(third, 2 * third)), least(memories.slice(-third))]
  t.comment(
    `heap ${mb(least(memories.slice(0, third)))} MB in the first third at least, ${mb(settled)} MB in the second, ${
      mb(last)
    } MB in the last; resident ${mb(Math.max(...memories.map(({ resident }) => resident)))} MB at most`
  )
  // In the long run, a leak of a kilobyte per request fails the test. The short run ends before the server has settled.
  const slack = count >= 100_000 ? 10e6 : 100e6
  t.ok(last < settled * 1.2 + slack, 'memory does not grow with the number of requests')
})

await t.test(`malformed HTTP, ${Math.ceil(count / 10)} times (FUZZ_SEED=${seed})`, async t => {
  const random = new Random(seed)
  const port = Number(new URL(server.address).port)
  const wrong: string[] = []
  const seen: Record<string, number> = {}
  for (let sent = 0; sent < count / 10; sent += underWay) {
    await Promise.all(Array.from({ length: underWay }, async () => {
      const bytes = rawRequest(random)
      const answer = await exchange(port, bytes)
      const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? (answer === '' ? 'nothing' : 'no HTTP')
      seen[status] = (seen[status] ?? 0) + 1
      const leak = leaks.find(one => one.test(answer) && !one.test(bytes.toString('latin1')))
      if (status === 'no HTTP' || status.startsWith('5') || leak !== undefined) {
        wrong.push(
          `${status} ${String(leak)}\n  ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}\n  ${
            answer.slice(0, 300)
          }`
        )
      }
    }))
  }
  t.same(wrong.slice(0, 10), [])
  t.comment(`statuses ${JSON.stringify(seen)}`)
  t.ok(server.isRunning, 'the server runs')
})

await t.test('the same server still answers a valid request', async t => {
  t.match(await call('GET', `${server.address}/health`), { status: 200 })
  world = await creator.world()
  t.ok(await creator.isWhole(world))
})
