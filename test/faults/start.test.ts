import { once } from 'node:events'
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../db/embedded/free-port.ts'
import { testKey } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { dataFolder, launch, start, type Account } from '../support/server-process.ts'

/* How the server refuses to start, and its output when it starts. */

t.setTimeout(600_000)

const unprivileged = await accountOf('nobody')

/** An account without permissions, for test runs as root. */
async function accountOf (name: string): Promise<Account | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const fields = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':')).find(([user]) =>
    user === name
  )
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) }
}

/** Returns the sentence in the single JSON line that production prints. */
function reasonOf (output: string): string {
  const lines = output.trim().split('\n')
  return (JSON.parse(lines.at(-1) ?? '') as { msg: string, reason: string }).reason
}

/** A TCP server that does the same to each connection. */
async function server (
  t: { teardown(work: () => void): void }, onConnection: (socket: Socket) => void
): Promise<number> {
  const listening = createServer(socket => {
    socket.on('error', () => {})
    onConnection(socket)
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    listening.close()
  })
  await once(listening, 'listening')
  return (listening.address() as AddressInfo).port
}

await t.test('all bad variables are named at once, and no secret is printed', async t => {
  const dataDir = await dataFolder(t)
  const variables = {
    PORT: 'eighty',
    LOG_LEVEL: 'loud',
    DATABASE_URL: 'mysql://root:hunter2secret@localhost/x',
    ENCRYPTION_KEY: 'dG9vIHNob3J0IHNlY3JldA==',
    SHUTDOWN_TIMEOUT_MS: '-1',
    TRACE_SAMPLE: '2',
    WEBHOOK_RETRY_SCHEDULE: 'soon',
    EMBEDDED_POSTGRES: 'perhaps',
    REDIS_URL: 'http://:redissecret@localhost',
    ENCRYPTION_KEYS_OLD: 'b2xkIHNlY3JldA=='
  }
  const server = launch({ dataDir, variables })
  t.same(await server.exit, { code: 1, signal: null })
  for (const name of Object.keys(variables)) t.match(server.output, `  - ${name} `)
  for (const secret of ['hunter2secret', 'dG9v', 'redissecret', 'b2xk', 'short secret']) {
    t.notOk(server.output.includes(secret), secret)
  }
  t.notMatch(server.output, /\n {4}at /, 'no stack trace')
  t.same(await readdir(dataDir), [], 'nothing was created')

  const production = launch({ dataDir, variables: { NODE_ENV: 'production' } })
  t.same(await production.exit, { code: 1, signal: null })
  const reason = reasonOf(production.output)
  for (const name of ['DATABASE_URL', 'ENCRYPTION_KEY']) t.match(reason, `  - ${name} is required`)
})

await t.test('an unusable database is one sentence that names DATABASE_URL, without the password', async t => {
  const own = new URL(await createDatabase(t))
  const closing = await server(t, socket => socket.destroy())
  const without = (change: (url: URL) => void) => {
    const url = new URL(own)
    change(url)
    return url.href
  }
  const cases: [string, string, RegExp][] = [
    [
      'nothing listens',
      `postgres://realtime:the-secret@127.0.0.1:${await freePort()}/realtime`,
      /nothing accepts connections at 127\.0\.0\.1:\d+\./
    ],
    [
      'the host does not exist',
      'postgres://realtime:the-secret@no-such-host.invalid/realtime',
      /no-such-host\.invalid (does not exist|could not be resolved)/
    ],
    [
      'another server',
      `postgres://realtime:the-secret@127.0.0.1:${closing}/realtime`,
      /closed the connection\. Is it a PostgreSQL server\?/
    ],
    [
      'no such database',
      without(url => {
        url.pathname = '/no_such_database'
      }),
      /the database "no_such_database" does not exist/
    ],
    [
      'a wrong password',
      without(url => {
        url.password = 'the-secret'
      }),
      /refused the password of the user/
    ],
    [
      'no password',
      without(url => {
        url.password = ''
      }),
      /password/
    ],
    [
      'no TLS',
      without(url => {
        url.search = '?sslmode=verify-full'
      }),
      /does not offer TLS/
    ]
  ]
  for (const [name, url, sentence] of cases) {
    const variables = { DATABASE_URL: url, ENCRYPTION_KEY: testKey, LOG_LEVEL: 'error' }
    const failed = launch({ dataDir: await dataFolder(t), variables })
    t.same(await failed.exit, { code: 1, signal: null }, name)
    t.match(failed.output, sentence, name)
    t.match(failed.output, /^DATABASE_URL: .*\n$/, `${name}: one line`)
    t.notOk(failed.output.includes('the-secret'), name)
  }
  const [, url] = cases[0] ?? []
  const inProduction = launch({
    dataDir: await dataFolder(t),
    variables: { NODE_ENV: 'production', DATABASE_URL: String(url), ENCRYPTION_KEY: testKey }
  })
  t.same(await inProduction.exit, { code: 1, signal: null })
  t.match(reasonOf(inProduction.output), /^DATABASE_URL: nothing accepts connections/, 'JSON in production')
  for (const line of inProduction.output.trim().split('\n')) t.ok(JSON.parse(line), 'every line is JSON')
})

await t.test('an unusable data folder is one sentence that names DATA_DIR', async t => {
  const dataDir = await dataFolder(t, unprivileged)
  const closed = join(await dataFolder(t), 'closed')
  await mkdir(closed, { mode: 0o555 })
  const file = join(await dataFolder(t), 'file')
  await writeFile(file, '')
  const cases = [
    closed, join(closed, 'below'), file, join(file, 'below'), '/dev/null', '/proc/none', join(closed, 'x'.repeat(300))
  ]
  for (const folder of cases) {
    const failed = launch({ dataDir, variables: { DATA_DIR: folder }, account: unprivileged })
    t.same(await failed.exit, { code: 1, signal: null }, folder)
    t.match(failed.output, /^[^\n]*DATA_DIR[^\n]*\n$/, 'one line')
  }
  await chmod(closed, 0o755)
})

await t.test('a key that decrypts none of the stored secrets is one sentence that names ENCRYPTION_KEY', async t => {
  const variables = { DATABASE_URL: await createDatabase(t), PORT: '0', LOG_LEVEL: 'error', NODE_ENV: 'production' }
  const first = await start(t, { dataDir: await dataFolder(t), variables: { ...variables, ENCRYPTION_KEY: testKey } })
  first.kill('SIGTERM')
  await first.exit
  const otherKey = Buffer.alloc(32, 9).toString('base64')
  const failed = launch({ dataDir: await dataFolder(t), variables: { ...variables, ENCRYPTION_KEY: otherKey } })
  t.same(await failed.exit, { code: 1, signal: null })
  t.match(reasonOf(failed.output), /^ENCRYPTION_KEY: no signing key can be read/)
})

await t.test('a port in use or an address of another machine is one sentence that names the variable', async t => {
  const variables = { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey, LOG_LEVEL: 'error' }
  const port = await server(t, socket => socket.destroy())
  const cases: [Record<string, string>, RegExp][] = [
    [{ PORT: String(port) }, new RegExp(`^PORT ${port} on 127\\.0\\.0\\.1 is in use by another program\\.[^\\n]*\\n$`)],
    [{ HOST: '203.0.113.1' }, /^HOST 203\.0\.113\.1 is not an address of this machine\.[^\n]*\n$/],
    [{ HOST: 'no-such-host.invalid' }, /^HOST no-such-host\.invalid [^\n]*\n$/]
  ]
  for (const [change, sentence] of cases) {
    const failed = launch({ dataDir: await dataFolder(t), variables: { ...variables, ...change } })
    t.same(await failed.exit, { code: 1, signal: null })
    t.match(failed.output, sentence)
  }
})

await t.test('misspelled variables cause a warning, from .env and from the environment', async t => {
  const dataDir = await dataFolder(t)
  await writeFile(join(dataDir, '.env'), 'PORTT=4000\nDATABSE_URL=postgres://a:the-secret@b/c\nMY_OWN=1\n')
  const variables = {
    DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey, EVENTS_RETENTION_HOURS: '1', HOSTNAME: 'a',
    LOG_LEVELS: 'debug'
  }
  const running = await start(t, { dataDir, variables })
  for (
    const [variable, meant] of [['PORTT', 'PORT'], ['DATABSE_URL', 'DATABASE_URL'], [
      'EVENTS_RETENTION_HOURS', 'EVENT_RETENTION_HOURS'
    ], ['LOG_LEVELS', 'LOG_LEVEL']] as const
  ) {
    t.match(running.output, `${variable} is not read. Did you mean ${meant}?`)
  }
  for (const quiet of ['MY_OWN', 'HOSTNAME', 'the-secret']) t.notOk(running.output.includes(quiet), quiet)
})

await t.test('without a terminal the server prints only log lines, one of which has the setup token', async t => {
  const dataDir = await dataFolder(t)
  for (const NODE_ENV of ['production', 'development']) {
    const running = await start(t, {
      dataDir, variables: { NODE_ENV, DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey }
    })
    const lines = running.output.trim().split('\n').map(line => JSON.parse(line) as { msg: string })
    t.equal(lines.filter(({ msg }) => msg === 'server.ready').length, 1)
    t.match(await running.ready(), { url: running.address, setupToken: /^[\w-]{32}$/, embeddedDatabase: false })
  }
  t.same(await readdir(dataDir), [], 'nothing is written beside the database')
})
