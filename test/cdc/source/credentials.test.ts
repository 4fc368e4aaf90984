import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { parseConnectionString } from '../../../src/cdc/source/connection-string.ts'
import { openSource } from '../../../src/cdc/source/source.ts'
import { sealedPlaces } from '../../../src/foundation/encryption/reencrypt.ts'
import { build } from '../../support/build.ts'
import { createSource, sourced, uniqueName } from '../../support/source-database.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* The operator's environment and files are never used, and the platform's own database is never a source. */

t.setTimeout(600_000)

const { app, databaseUrl } = await build(t)
const shop = await tenant(app)
const marker = 'operators-secret'

/** Every variable that a PostgreSQL client reads by itself. */
const environment = {
  PGPASSWORD: marker,
  PGUSER: marker,
  PGDATABASE: marker,
  PGHOST: marker,
  PGPORT: '1',
  PGAPPNAME: marker,
  PGOPTIONS: `-c application_name=${marker}`,
  PGSSLMODE: 'verify-full',
  PGSSLNEGOTIATION: 'direct',
  PGCLIENT_ENCODING: marker,
  PGCLIENTENCODING: marker,
  PGREPLICATION: 'database',
  PGBINARY: 'true',
  PGCONNECT_TIMEOUT: '1',
  PGSERVICE: marker,
  PGSERVICEFILE: `/${marker}`,
  PGSSLCERT: `/${marker}`,
  PGSSLKEY: `/${marker}`,
  PGSSLROOTCERT: `/${marker}`,
  PGREQUIRESSL: '1',
  PGTARGETSESSIONATTRS: marker,
  PGKRBSRVNAME: marker,
  PGPASSFILE: '',
  HOME: '',
  USER: marker,
  USERNAME: marker
}

/** Sets `variables` for the duration of the test, and a password file in the home folder. */
async function poisoned (
  t: { teardown(work: () => Promise<void>): void }, variables: Record<string, string>
): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'realtime-home-'))
  const passFile = join(home, '.pgpass')
  await writeFile(passFile, `*:*:*:*:${marker}\n`)
  await chmod(passFile, 0o600)
  const before = { ...process.env }
  Object.assign(process.env, variables, { HOME: home, PGPASSFILE: passFile })
  t.teardown(async () => {
    for (const name of [...Object.keys(variables), 'HOME', 'PGPASSFILE']) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
    await rm(home, { recursive: true })
  })
}

for (const method of ['cleartext', 'md5', 'scram'] as const) {
  await t.test(`a server that requires a password by ${method} receives only the tenant's`, async t => {
    await poisoned(t, environment)
    for (
      const [credentials, password] of [['shop:tenants-own', 'tenants-own'], ['shop:', ''], ['shop:%20', ' ']] as const
    ) {
      const { port, received } = await listening(t, method)
      await t.rejects(openSource(`postgres://${credentials}@127.0.0.1:${port}/orders`), { code: 'SOURCE_AUTH_FAILED' })
      const text = received()
      t.notMatch(text, marker, 'nothing of the operator is sent')
      t.match(
        text.slice(8), /^user\0shop\0database\0orders\0application_name\0realtime-platform-cdc\0replication\0false\0/,
        'the tenant\'s password is sent'
      )
      if (method === 'cleartext') {
        const sent = `p\0\0\0${String.fromCharCode(password.length + 5)}${password}\0`
        t.equal(text.slice(text.indexOf('p\0\0\0')), sent)
      }
    }
  })
}

await t.test('a password file is not read without PGPASSWORD either', async t => {
  await poisoned(t, {})
  const { port, received } = await listening(t, 'cleartext')
  await t.rejects(openSource(`postgres://shop:@127.0.0.1:${port}/orders`), { code: 'SOURCE_AUTH_FAILED' })
  t.notMatch(received(), marker)
})

await t.test('the connection test and the reader send no password of the operator', async t => {
  await poisoned(t, { PGPASSWORD: marker })
  const { port, received } = await listening(t, 'cleartext')
  const connectionString = `postgres://shop:@127.0.0.1:${port}/orders`
  t.match((await shop.request('POST', '/api/database/connection/test', { connectionString })).body, {
    ok: false, checks: [{ name: 'reachability' }]
  })
  t.match(await shop.request('PUT', '/api/database/connection', { connectionString }), { status: 200 })
  await until(
    async () => (await shop.request('GET', '/api/database/connection')).body.error?.code === 'SOURCE_AUTH_FAILED',
    'the reader to be refused'
  )
  t.notMatch(received(), marker)
  await shop.request('DELETE', '/api/database/connection')
})

await t.test('a session in a real database ignores the environment', async t => {
  const { url } = await createSource(t)
  const ask = async (connectionString: string, more = {}) => {
    const session = await openSource(connectionString, more)
    try {
      return (await session.query(
        `select current_user::text as user, application_name as name, backend_type as type, client_encoding
        from pg_stat_activity, (select current_setting('client_encoding') as client_encoding) one
        where pid = pg_backend_pid()`
      )).rows
    } finally {
      await session.close()
    }
  }
  await poisoned(t, environment)
  const usual = { user: 'postgres', name: 'realtime-platform-cdc', type: 'client backend', client_encoding: 'UTF8' }
  t.same(await ask(`${url}&application_name=`), [usual])
  t.same(await ask(`${url}&application_name=shop`), [{ ...usual, name: 'shop' }])
  t.match(await ask(url, { replication: 'database' }), [{ ...usual, type: 'walsender' }])
})

await t.test('a password is required or explicitly empty', async t => {
  for (const text of ['postgres://u@h/d', 'postgres://u@h:1/d?application_name=x:@y', 'postgres://u@h/d:@x']) {
    t.throws(() => parseConnectionString(text), { message: /must have a password/ }, text)
  }
  for (
    const [text, password] of [['postgres://u:@h/d', ''], ['postgres://u:%40%3A@h/d', '@:'], [
      'postgresql://u:p@h/d',
      'p'
    ]] as const
  ) {
    const given = parseConnectionString(text).config.password
    t.equal(typeof given === 'function' ? await given() : given, password, text)
  }
})

await t.test('a NUL is refused in every part', async t => {
  for (
    const text of [
      'postgres://u%00:p@h/d',
      'postgres://u:p%00@h/d',
      'postgres://u:p@h/d%00x',
      'postgres://u:p@h%00x/d',
      'postgres://u:p@h/d?application_name=x%00user%00root',
      'postgres://u:p@h/d?sslmode=disable%00',
      'postgres://u:p@h/d?connect_timeout=%00',
      'postgres://u:p@h/d?application_name%00=1',
      'postgres://u:p@h/d?application_name=a&application_name=b%00',
      'postgres://u:p@h\0/d',
      'postgres://u:p@h/d\0'
    ]
  ) {
    t.throws(() => parseConnectionString(text), { code: 'VALIDATION_FAILED' }, text)
    t.match(await shop.request('PUT', '/api/database/connection', { connectionString: text }), { status: 400 }, text)
  }
})

await t.test('a setting that the driver would replace is refused', async t => {
  for (
    const text of [
      'postgres://u:p@h:0/d',
      'postgres://:p@h/d',
      'postgres://u:p@h/',
      'postgres://u:p@/d',
      'postgres://u:p@%2Ftmp/d',
      'postgres://u:p@h/d#x',
      'postgres://u:p@h/d?sslmode=require&sslmode=disable'
    ]
  ) {
    t.throws(() => parseConnectionString(text), { code: 'VALIDATION_FAILED' }, text)
  }
})

await t.test('a stored string that a later rule refuses results in an error state', async t => {
  const own = await sourced(t, app)
  await own.request('PUT', '/api/database/connection', { connectionString: 'postgres://u:p@127.0.0.1:1/d' })
  const { id } = await app.db.selectFrom('cdc_connections').select('id').where(
    'application_id', '=', own.scope.applicationId
  ).executeTakeFirstOrThrow()
  await app.db.updateTable('cdc_connections').set(eb => ({
    connection_string_sealed: app.encryption.encrypt('postgres://u@127.0.0.1:1/d', sealedPlaces.connection(id)),
    revision: eb('revision', '+', 1)
  }))
    .where('application_id', '=', own.scope.applicationId).execute()
  t.match((await own.state('error', 'SOURCE_REFUSED')).error?.message, /must have a password/)
  t.match(await own.request('GET', '/api/database/tables'), {
    status: 503, body: { code: 'SOURCE_UNAVAILABLE', message: /must have a password/ }
  })
  t.match(await own.request('DELETE', '/api/database/connection'), { status: 200 })
})

await t.test('the platform\'s own database is refused under every spelling of its address', async t => {
  const { port, password, pathname } = new URL(databaseUrl)
  for (const host of ['127.0.0.1', 'localhost', '127.1', '0x7f000001', '[::ffff:127.0.0.1]']) {
    const connectionString = `postgres://postgres:${password}@${host}:${port}${pathname}`
    t.match(await shop.request('PUT', '/api/database/connection', { connectionString }), {
      status: 400, body: { message: /platform's own database/ }
    }, host)
    t.match((await shop.request('POST', '/api/database/connection/test', { connectionString })).body, {
      ok: false, checks: [{}, { name: 'database', status: 'failed', message: /platform's own/ }]
    }, host)
  }
  t.match(await shop.request('GET', '/api/database/connection'), { status: 404 }, 'it is not stored')
})

await t.test('a role without pg_control_system is refused by the identifier from replication', async t => {
  const role = uniqueName()
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  t.teardown(async () => {
    await client.query('grant execute on function pg_control_system() to public')
    await client.query(`drop role ${role}`)
    await client.end()
  })
  await client.query(`create role ${role} login replication password 'x'`)
  await client.query('revoke execute on function pg_control_system() from public')
  const { port, pathname } = new URL(databaseUrl)
  t.match(
    await shop.request('PUT', '/api/database/connection', {
      connectionString: `postgres://${role}:x@127.0.0.1:${port}${pathname}`
    }),
    { status: 400, body: { message: /platform's own/ } }
  )
})

await t.test('a reader that reaches the platform\'s own database creates nothing there', async t => {
  const own = await sourced(t, app)
  await own.connect()
  // As if the address had changed to lead there after it was stored.
  const { id } = await app.db.selectFrom('cdc_connections').select('id').where(
    'application_id', '=', own.scope.applicationId
  ).executeTakeFirstOrThrow()
  await app.db.updateTable('cdc_connections').set(eb => ({
    connection_string_sealed: app.encryption.encrypt(databaseUrl, sealedPlaces.connection(id)),
    revision: eb('revision', '+', 1)
  }))
    .where('application_id', '=', own.scope.applicationId).execute()
  t.match((await own.state('error', 'SOURCE_REFUSED')).error?.message, /platform's own/)
  t.match(await own.request('GET', '/api/database/tables'), { status: 503, body: { message: /platform's own/ } })
  const { rows } = await app.pool.query(
    'select (select count(*)::int from pg_publication) as publications, (select count(*)::int from ' +
      'pg_replication_slots where database = current_database()) as slots'
  )
  t.same(rows, [{ publications: 0, slots: 0 }])
  await own.request('PUT', '/api/database/connection', { connectionString: own.source.url })
  await own.state('streaming')
})

await t.test('another database on the platform\'s server is accepted', async t => {
  const own = await sourced(t, app)
  t.match(await own.request('PUT', '/api/database/connection', { connectionString: own.source.url }), { status: 200 })
  t.not(new URL(own.source.url).pathname, new URL(databaseUrl).pathname)
})

/** Starts a server that requires a password, keeps what it receives, and refuses it. */
async function listening (t: { teardown (work: () => void): void }, method: 'cleartext' | 'md5' | 'scram') {
  const message = (type: string, body: Buffer) => {
    const head = Buffer.alloc(5)
    head.write(type)
    head.writeInt32BE(body.length + 4, 1)
    return Buffer.concat([head, body])
  }
  const request =
    {
      cleartext: Buffer.from([0, 0, 0, 3]), md5: Buffer.from([0, 0, 0, 5, 1, 2, 3, 4]),
      scram: Buffer.from('\0\0\0\nSCRAM-SHA-256\0\0')
    }[method]
  const chunks: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    let count = 0
    socket.on('data', chunk => {
      chunks.push(chunk)
      if (count++ === 0) return socket.write(message('R', request))
      const nonce = /r=([^,]*)/.exec(chunk.toString('latin1'))?.[1]
      if (method === 'scram' && count === 2) {
        return socket.write(message('R', Buffer.from(`\0\0\0\x0br=${nonce ?? ''}x,s=c2FsdA==,i=4096`)))
      }
      socket.end(message('E', Buffer.from('SFATAL\0C28P01\0Mno\0\0')))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, received: () => Buffer.concat(chunks).toString('latin1') }
}
