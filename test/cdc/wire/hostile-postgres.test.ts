import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ConnectionTest, DatabaseConnection } from '../../../schemas/database.ts'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'
import { pace, until } from '../../support/waiting.ts'
import { beforeTheSession, duringAQuery } from './hostile-scenarios.ts'
import { startHostileServer, type Scenario } from './hostile-server.ts'

/* A server that is not PostgreSQL, or a broken one, only ends its own conversation. */

t.setTimeout(600_000)

const { app } = await build(t, { adapt: config => { config.http.rateLimitMax = 0 } })
const scenarios = Object.entries({ ...beforeTheSession, ...duringAQuery })
/** Words of OpenSSL, Node or the libraries, which no message may contain. */
const foreignWords =
  /ssl3|openssl|ERR_|out of range|Cannot read|NaN|undefined|is not a function|Received unexpected|SASL:/i
const pick = (names: readonly string[]) => scenarios.filter(([name]) => names.includes(name))

/** Runs several at once, each from its own application, so that none waits long for its turn. */
async function each (
  work: (name: string, scenario: Scenario, own: Awaited<ReturnType<typeof tenant>>) => Promise<void>, chosen = scenarios
): Promise<void> {
  const left = [...chosen]
  await Promise.all(Array.from({ length: 6 }, async () => {
    const own = await tenant(app)
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(...next, own)
  }))
}

async function test (own: Awaited<ReturnType<typeof tenant>>, url: string): Promise<ConnectionTest> {
  const { status, body, text } = await own.request('POST', '/api/database/connection/test', { connectionString: url })
  if (status !== 200) throw new Error(text)
  return body as ConnectionTest
}

await t.test('a connection test survives each scenario and reports the problem', async t => {
  await each(async (name, scenario, own) => {
    const server = await startHostileServer(t, scenario)
    const { ok, checks } = await test(own, server.url)
    t.notOk(ok, `${name}: ${checks.at(-1)?.message.slice(0, 200)}`)
    t.notMatch(checks.map(check => check.message).join('\n'), foreignWords, name)
    t.equal((await app.inject('/health')).statusCode, 200)
  })
})

await t.test('a connection test survives the same over TLS, and broken TLS', async t => {
  const tls = createCertificate()
  const chosen = pick([
    'AuthenticationGSS', 'an unterminated ErrorResponse', 'a DataRow of -1 fields', 'an endless DataRow',
    'endless DataRows', 'noise'
  ])
  await each(async (name, scenario, own) => {
    const server = await startHostileServer(t, scenario, tls)
    const { ok, checks } = await test(own, server.url)
    t.notOk(ok, `${name}: ${checks.at(-1)?.message.slice(0, 200)}`)
    t.notMatch(checks.map(check => check.message).join('\n'), foreignWords, name)
  }, chosen)
  const answers = {
    'neither S nor N': 'X', 'no TLS': 'N', 'S and garbage': 'S', 'S with trailing garbage': 'Snot TLS at all',
    'an error': 'E\0\0\0\x08abc'
  }
  await each(
    async (name, scenario, own) => {
      const server = await startHostileServer(t, scenario)
      const { checks } = await test(own, `${server.url}?sslmode=require`)
      t.match(checks.at(-1)?.message, /TLS|protocol/, `${name}: ${checks.at(-1)?.message}`)
      t.notMatch(checks.at(-1)?.message, foreignWords, name)
    },
    Object.entries(answers).map(([name, answer]): [string, Scenario] => [name, {
      onConnection (socket) {
        socket.once('data', () => {
          socket.write(answer, 'latin1')
          if (answer === 'S') socket.once('data', () => socket.write(Buffer.alloc(500, 7)))
        })
        return true
      }
    }])
  )
  const honest = await startHostileServer(t, {}, tls)
  const { checks } = await test(await tenant(app), honest.url.replace('require', 'verify-full'))
  t.match(checks.at(-1)?.message, /certificate/)
  t.notMatch(checks.at(-1)?.message, foreignWords)
})

await t.test('a stored connection reports the error without affecting other connections', async t => {
  const chosen = pick([
    'AuthenticationGSS',
    'an unterminated ErrorResponse',
    'a length of 2^31-1',
    'malformed SCRAM',
    'noise',
    'endless NoticeResponses',
    'a DataRow of -1 fields',
    'an endless DataRow',
    'endless DataRows',
    'a CopyBothResponse',
    'nothing but the end',
    'an answer with other columns'
  ])
  await Promise.all(chosen.map(async ([name, scenario]) => {
    const own = await tenant(app)
    const server = await startHostileServer(t, scenario)
    const { status, text } = await own.request('PUT', '/api/database/connection', { connectionString: server.url })
    t.equal(status, 200, text)
    const connection = async () => (await own.request('GET', '/api/database/connection')).body as DatabaseConnection
    await until(async () => (await connection()).state === 'error', `${name}: the error`, 90_000)
    const { error } = await connection()
    t.match(error, { code: /^SOURCE_/ }, `${name}: ${error?.code} ${error?.message.slice(0, 200)}`)
    t.notMatch(error?.message, foreignWords, name)
    const tables = await own.request('GET', '/api/database/tables')
    t.match(tables, { status: 503, body: { code: 'SOURCE_UNAVAILABLE' } }, name)
    t.notMatch(tables.text, foreignWords, name)
    const before = server.connections
    await until(async () => server.connections > before, `${name}: the reader to try again`)
    await own.request('DELETE', '/api/database/connection')
  }))
  t.equal((await app.inject('/health')).statusCode, 200)
})

await t.test('the event loop stays responsive while servers send endlessly', async t => {
  const chosen = pick([
    'endless DataRows', 'endless empty DataRows', 'endless RowDescriptions', 'endless NoticeResponses in an answer',
    'endless noise'
  ])
  let turns = 0
  const over = new AbortController()
  const turning = (async () => {
    for (; !over.signal.aborted; turns++) {
      t.equal((await app.inject('/health')).statusCode, 200)
      await pace(5)
    }
  })()
  await each(async (_name, scenario, own) => {
    const server = await startHostileServer(t, scenario)
    const before = turns
    await test(own, server.url)
    t.ok(turns > before, 'the platform answered others meanwhile')
  }, chosen)
  over.abort()
  await turning
})

function createCertificate (): { key: string, cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'realtime-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  try {
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=shop'
    ], { stdio: 'ignore' })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
