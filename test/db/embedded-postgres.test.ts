import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { serverAccount } from '../../db/embedded/account.ts'
import { findBinaryPackage, prepareBinaries } from '../../db/embedded/binaries.ts'
import { endServer } from '../../db/embedded/end-server.ts'
import { freePort } from '../../db/embedded/free-port.ts'
import { LogFile } from '../../db/embedded/log-file.ts'
import { endOrphan } from '../../db/embedded/orphan.ts'
import { readPidFile } from '../../db/embedded/pid-file.ts'
import { inspectProcess, isServerOf } from '../../db/embedded/processes.ts'
import { startPostmaster } from '../../db/embedded/start-postmaster.ts'
import { becomesTrue } from '../../db/embedded/wait.ts'
import {
  startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions
} from '../../db/embedded-postgres.ts'

// Creates and starts real servers.
t.setTimeout(900_000)

const isRoot = process.geteuid?.() === 0
const needsRoot = isRoot ? {} : { skip: 'needs root' }
const nobody = isRoot
  ? (await readFile('/etc/passwd', 'utf8')).split('\n').filter((line) => line.startsWith('nobody:'))
      .map((line) => ({ uid: Number(line.split(':')[2]), gid: Number(line.split(':')[3]) }))[0]
  : undefined
const needsNobody = nobody === undefined ? { skip: 'requires root, and a user nobody' } : {}

/** A cluster that was started before, for tests to copy: creating one takes seconds. */
let used: Promise<string> | undefined

await t.test('a first start creates the cluster, a second one keeps its data', async (t) => {
  const { dataDir } = await world(t)
  const first = await start(dataDir, { databases: ['realtime', 'demo'] })
  await query(first, 'create table notes (text text)')
  await query(first, "insert into notes values ('kept')")
  t.same(await query(first, 'select 1 as one', 'demo'), [{ one: 1 }])
  await first.stop()

  const second = await start(dataDir, { databases: ['realtime', 'demo', 'later "quoted"'] })
  t.same(await query(second, 'select text from notes'), [{ text: 'kept' }])
  t.same(await query(second, 'select 1 as one', 'later "quoted"'), [{ one: 1 }])
  await second.stop()
})

await t.test('the password is random, readable by the owner only, and required from every client', async (t) => {
  const { dataDir } = await world(t)
  const postgres = await start(dataDir)
  const { mode } = await stat(join(dataDir, 'postgres-password'))
  t.equal(mode & 0o777, 0o600)
  const password = (await readFile(join(dataDir, 'postgres-password'), 'utf8')).trim()
  t.match(password, /^[\w-]{32}$/)
  t.same((await readdir(dataDir)).sort(), ['postgres', 'postgres-password', 'postgres.lock', 'postgres.log'])
  await t.rejects(
    query({ connectionString: (name) => postgres.connectionString(name).replace(password, 'wrong') }, 'select 1'),
    { code: '28P01' }
  )
  t.same(await query(postgres, 'select distinct auth_method from pg_hba_file_rules'), [{
    auth_method: 'scram-sha-256'
  }])
  await postgres.stop()
})

await t.test('our settings apply, whatever the files of an older cluster contain', async (t) => {
  const { dataDir } = await usedWorld(t)
  const older = await start(dataDir, { settings: {} })
  await query(older, "alter system set wal_level = 'replica'")
  await query(older, 'alter system set max_connections = 33')
  await older.stop()

  const postgres = await start(dataDir, { settings: {} })
  const names = [
    'wal_level', 'synchronous_commit', 'fsync', 'max_wal_senders', 'max_replication_slots', 'max_slot_wal_keep_size',
    'max_connections', 'shared_buffers', 'listen_addresses', 'unix_socket_directories', 'server_encoding', 'TimeZone'
  ]
  const shown = await Promise.all(
    names.map(async (name) => Object.values((await query(postgres, `show ${name}`))[0] ?? {})[0])
  )
  t.same(Object.fromEntries(names.map((name, i) => [name, shown[i]])), {
    wal_level: 'logical',
    synchronous_commit: 'on',
    fsync: 'on',
    max_wal_senders: '20',
    max_replication_slots: '20',
    max_slot_wal_keep_size: '2GB',
    max_connections: '200',
    shared_buffers: '128MB',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    server_encoding: 'UTF8',
    TimeZone: 'UTC'
  })
  t.same(await query(postgres, "select pg_create_logical_replication_slot('probe', 'pgoutput') is not null as made"), [{
    made: true
  }])
  await postgres.stop()

  const quick = await start(dataDir, { settings: { fsync: 'off', work_mem: '8MB', port: '1', listen_addresses: '*' } })
  t.same(await query(quick, 'show fsync'), [{ fsync: 'off' }], 'a setting of the caller overrides ours')
  t.same(await query(quick, 'show work_mem'), [{ work_mem: '8MB' }])
  t.same(
    await query(quick, 'show listen_addresses'), [{ listen_addresses: '127.0.0.1' }], 'except where the server listens'
  )
  await quick.stop()
})

await t.test('the port stays the same while it is free, however the last start ended', async (t) => {
  const { dataDir, clusterDir, run } = await usedWorld(t)
  const first = await start(dataDir)
  await first.stop()
  const second = await start(dataDir)
  t.equal(second.connectionString('demo'), first.connectionString('demo'))
  process.kill(await serverPid(clusterDir), 'SIGKILL')
  await second.stop()
  const platform = run('hold', dataDir)
  const { url = '' } = await platform.says()
  t.equal(Number(new URL(url).port), first.port, 'after kill -9 of the server')
  platform.child.kill('SIGKILL')
  await platform.ended
  const third = await start(dataDir)
  t.equal(third.port, first.port, 'after kill -9 of the platform')
  await third.stop()

  const stranger = createServer()
  stranger.listen(first.port, '127.0.0.1')
  await once(stranger, 'listening')
  const elsewhere = await start(dataDir)
  t.not(elsewhere.port, first.port)
  await elsewhere.stop()
  stranger.close()
  await once(stranger, 'close')

  const opts = join(clusterDir, 'postmaster.opts')
  for (const text of ['', '/bin/postgres "-c" "port=99999"\n', '/bin/postgres "-c" "port=0"\n']) {
    await writeFile(opts, text)
    const postgres = await start(dataDir)
    t.same(await query(postgres, 'select 1 as one'), [{ one: 1 }], `with ${JSON.stringify(text)}`)
    await postgres.stop()
  }
})

await t.test('stop leaves no process and no lock, and can be repeated', async (t) => {
  const { dataDir, clusterDir } = await usedWorld(t)
  const exits: unknown[] = []
  const postgres = await start(dataDir, { onExit: (...how) => exits.push(how) })
  const pid = await serverPid(clusterDir)
  t.ok(await isServerOf(clusterDir, pid))
  await Promise.all([postgres.stop(), postgres.stop()])
  await postgres.stop()
  t.notOk(await inspectProcess(pid))
  t.same((await readdir(dataDir)).sort(), ['postgres', 'postgres-password', 'postgres.log'])
  t.same(exits, [], 'a requested stop is not reported')
})

await t.test('an unexpected end is reported', async (t) => {
  const { dataDir, clusterDir } = await usedWorld(t)
  const exits: unknown[] = []
  const postgres = await start(dataDir, { onExit: (...how) => exits.push(how) })
  process.kill(await serverPid(clusterDir), 'SIGKILL')
  await becomesTrue(() => exits.length > 0, 5000)
  t.same(exits, [[null, 'SIGKILL']])
  await postgres.stop()

  const next = await start(dataDir)
  t.same(await query(next, 'select 1 as one'), [{ one: 1 }], 'and the next start recovers')
  await next.stop()
})

await t.test('after kill -9 of the platform, a start stops the orphaned server and keeps committed data', async (t) => {
  const { dataDir, clusterDir, run } = await usedWorld(t)
  const platform = run('hold', dataDir)
  const { url } = await platform.says()
  await query({ connectionString: () => url }, 'create table notes as select 1 as id')
  const orphan = await serverPid(clusterDir)
  platform.child.kill('SIGKILL')
  await platform.ended
  t.ok(await isServerOf(clusterDir, orphan), 'the server outlives the platform')

  const postgres = await start(dataDir)
  t.notOk(await inspectProcess(orphan))
  t.not(await serverPid(clusterDir), orphan)
  t.same(await query(postgres, 'select id from notes'), [{ id: 1 }])
  await postgres.stop()
})

await t.test('after kill -9 of the platform and its server, a start recovers', async (t) => {
  const { dataDir, clusterDir, run } = await usedWorld(t)
  const platform = run('hold', dataDir)
  const { url } = await platform.says()
  await query({ connectionString: () => url }, 'create table notes as select 1 as id')
  const server = await serverPid(clusterDir)
  platform.child.kill('SIGKILL')
  process.kill(server, 'SIGKILL')
  await platform.ended
  t.equal(await serverPid(clusterDir), server, 'the pid file is stale')

  const postgres = await start(dataDir)
  t.same(await query(postgres, 'select id from notes'), [{ id: 1 }])
  await postgres.stop()
})

await t.test('a stale pid file does not block a start, and the unrelated process in it is unharmed', async (t) => {
  const { dataDir, clusterDir } = await usedWorld(t)
  const pidFile = join(clusterDir, 'postmaster.pid')
  await (await start(dataDir)).stop()
  // PostgreSQL itself only regards processes of its own user as rivals.
  const { uid, gid } = await stat(clusterDir)
  const rest = `\n${clusterDir}\n1700000000\n1\n\n127.0.0.1\n         0         0\nready   \n`
  for (const name of ['sleep', '/usr/bin/postgres']) {
    const stranger = spawn('sleep', ['60'], { argv0: name, ...(isRoot ? { uid, gid } : {}) })
    t.teardown(() => { stranger.kill('SIGKILL') })
    await once(stranger, 'spawn')
    await writeFile(pidFile, `${stranger.pid}${rest}`, { mode: 0o600 })
    await chown(pidFile, uid, gid)
    const postgres = await start(dataDir)
    t.same(await query(postgres, 'select 1 as one'), [{ one: 1 }], `with the pid of a process called ${name}`)
    t.equal(stranger.exitCode ?? stranger.signalCode, null)
    await postgres.stop()
  }
  for (const text of ['', 'garbage\n', `${process.pid}${rest}`, `4194304${rest}`]) {
    await writeFile(pidFile, text, { mode: 0o600 })
    await chown(pidFile, uid, gid)
    const postgres = await start(dataDir)
    t.same(await query(postgres, 'select 1 as one'), [{ one: 1 }], `with ${JSON.stringify(text.split('\n')[0])}`)
    await postgres.stop()
  }
})

await t.test('a start waits until the processes of an earlier server have ended', async (t) => {
  const { dataDir, clusterDir } = await usedWorld(t)
  const first = await start(dataDir)
  const client = new pg.Client(first.connectionString('realtime'))
  client.on('error', () => {})
  await client.connect()
  const pid = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? NaN
  const busy = client.query('select count(*) from generate_series(1, 1e12)').catch(() => {})
  t.teardown(() => { try { process.kill(pid, 'SIGKILL') } catch {} })
  process.kill(await serverPid(clusterDir), 'SIGKILL')
  await first.stop()

  const retried = deferred<string>()
  const starting = start(dataDir, {
    log: (_level, message, fields) => {
      if (message === 'postgres.start_retried') retried.resolve(String(fields?.reason))
    }
  })
  t.match(await Promise.race([retried.promise, starting]), /pre-existing shared memory block/)
  process.kill(pid, 'SIGKILL')
  const second = await starting
  t.same(await query(second, 'select 1 as one'), [{ one: 1 }])
  await second.stop()
  await busy
})

await t.test(
  'an orphan is found after its folder was renamed',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const { folder, dataDir, clusterDir, run } = await usedWorld(t)
    const platform = run('hold', dataDir)
    await platform.says()
    const orphan = await serverPid(clusterDir)
    platform.child.kill('SIGKILL')
    await platform.ended
    await rename(dataDir, join(folder, 'renamed'))
    const postgres = await start(join(folder, 'renamed'))
    t.notOk(await inspectProcess(orphan))
    await postgres.stop()
  }
)

await t.test('an initdb that was killed half-way is repeated', async (t) => {
  const { dataDir, clusterDir, run } = await world(t)
  const platform = run('hold', dataDir)
  t.ok(await becomesTrue(async () => await isInitdbAtWork(dataDir), 20_000))
  platform.child.kill('SIGKILL')
  await platform.ended
  t.ok((await readdir(dataDir)).some((name) => name.startsWith('postgres.init-')), 'it left a partial cluster')
  t.same((await readdir(dataDir)).includes('postgres'), false)

  const postgres = await start(dataDir)
  t.same(await query(postgres, 'select 1 as one'), [{ one: 1 }])
  await postgres.stop()
  t.ok(await stat(join(clusterDir, 'PG_VERSION')))

  const isSwept = async () => {
    await (await start(dataDir)).stop()
    return !(await readdir(dataDir)).some((name) => name.startsWith('postgres.init-'))
  }
  t.ok(await becomesTrue(isSwept, 20_000), 'the partial cluster is removed')
})

await t.test('two processes cannot use one data folder: the second fails and names the first', async (t) => {
  const { dataDir, run } = await usedWorld(t)
  const platform = run('hold', dataDir)
  const { url } = await platform.says()
  await t.rejects(start(dataDir), {
    message: new RegExp(`another platform process \\(pid ${platform.child.pid}\\) uses DATA_DIR`)
  })
  t.same(
    await query({ connectionString: () => url }, 'select 1 as one'), [{ one: 1 }], 'the first is unaffected'
  )
  platform.child.kill('SIGTERM')
  t.same(await platform.ended, [0, null])
  const postgres = await start(dataDir)
  await t.rejects(
    start(dataDir),
    { message: new RegExp(`another platform process \\(pid ${process.pid}\\)`) },
    'the same within one process'
  )
  await postgres.stop()
})

await t.test('many processes start at once on the folder of a dead one, and one gets it', async (t) => {
  const { dataDir, run } = await usedWorld(t)
  await (await start(dataDir)).stop()
  await writeFile(
    join(dataDir, 'postgres.lock'), JSON.stringify({ pid: process.pid, startedAt: 'an earlier boot', nonce: '' })
  )
  if (isRoot) await chmod(join(dataDir, 'postgres.lock'), 0o644)
  const platforms = Array.from({ length: 5 }, () => run('hold', dataDir))
  const said = await Promise.all(platforms.map(async (platform) => await platform.says()))
  t.equal(said.filter(({ url }) => url !== undefined).length, 1)
  t.ok(
    said.every(({ url, error }) => url !== undefined || error?.includes('another platform process')),
    JSON.stringify(said)
  )
})

await t.test('a Ctrl-C in the terminal reaches the platform, not the server', async (t) => {
  const { dataDir, clusterDir, run } = await usedWorld(t)
  const platform = run('hold', dataDir, { detached: true })
  const { url } = await platform.says()
  const server = await serverPid(clusterDir)
  process.kill(-(platform.child.pid ?? NaN), 'SIGINT')
  t.same(await query({ connectionString: () => url }, 'select 1 as one'), [{ one: 1 }])
  platform.child.kill('SIGTERM')
  t.same(await platform.ended, [0, null])
  t.notOk(await inspectProcess(server))
})

await t.test('the server does not keep an idle process alive', async (t) => {
  const { dataDir, run } = await usedWorld(t)
  const platform = run('leave', dataDir)
  t.ok((await platform.says()).url)
  t.same(await platform.ended, [0, null])
})

await t.test('a port that another process took first is replaced', async (t) => {
  const { dataDir, clusterDir } = await usedWorld(t)
  await (await start(dataDir)).stop()
  const rival = createServer().listen(0, '127.0.0.1')
  await once(rival, 'listening')
  t.teardown(() => rival.close())
  const ports = [(rival.address() as AddressInfo).port, await freePort()]
  const account = await serverAccount(clusterDir)
  const { postmaster, port } = await startPostmaster({
    dataDir,
    clusterDir,
    binDir: await prepareBinaries(findBinaryPackage(), dataDir, account),
    account,
    settings: { fsync: 'off' },
    logFile: new LogFile(join(dataDir, 'postgres.log')),
    log: () => {}
  }, async () => ports.shift() ?? NaN)
  t.same(ports, [])
  t.ok(port)
  await postmaster.stop()
})

await t.test("a failed start reports PostgreSQL's own reason, and leaves nothing behind", async (t) => {
  const { dataDir } = await usedWorld(t)
  await t.rejects(start(dataDir, { settings: { shared_buffers: 'plenty' } }), {
    message: /invalid value for parameter "shared_buffers"/
  })
  await writeFile(join(dataDir, 'postgres', 'global', 'pg_control'), '')
  await t.rejects(start(dataDir), { message: /PANIC: .*pg_control.*--- the end of postgres.log ---/s })
  t.notOk((await readdir(dataDir)).includes('postgres.lock'))
})

await t.test('the error of a missing or wrong password file names the file', async (t) => {
  const { dataDir } = await usedWorld(t)
  await (await start(dataDir)).stop()
  await writeFile(join(dataDir, 'postgres-password'), 'wrong\n')
  await t.rejects(start(dataDir), { message: /password authentication failed/ })
  await rm(join(dataDir, 'postgres-password'))
  await t.rejects(start(dataDir), { message: /postgres-password is missing/ })
})

await t.test('a folder named postgres without a cluster is not changed', async (t) => {
  const { dataDir } = await world(t)
  await mkdir(join(dataDir, 'postgres'), { recursive: true })
  await writeFile(join(dataDir, 'postgres', 'thesis.txt'), 'years of work')
  await t.rejects(start(dataDir), { message: /exists but is not a PostgreSQL data folder/ })
  t.same((await readdir(dataDir)).sort(), ['postgres', 'postgres-password'])
  t.equal(await readFile(join(dataDir, 'postgres', 'thesis.txt'), 'utf8'), 'years of work')
})

await t.test('a log past 10 MB is emptied at the next start', async (t) => {
  const { dataDir } = await world(t)
  await mkdir(dataDir, { recursive: true })
  await writeFile(join(dataDir, 'postgres.log'), Buffer.alloc(11 * 1024 * 1024, '.'))
  await (await start(dataDir)).stop()
  t.ok((await stat(join(dataDir, 'postgres.log'))).size < 100_000)
  await (await start(dataDir)).stop()
  t.equal(
    (await readFile(join(dataDir, 'postgres.log'), 'utf8')).match(/starting PostgreSQL/g)?.length, 2,
    'a smaller log is appended to'
  )
})

await t.test('as an ordinary user the server runs as that user', needsNobody, async (t) => {
  const { dataDir, clusterDir, run } = await world(t, nobody)
  const platform = run('hold', dataDir, nobody)
  const { url } = await platform.says()
  t.same(await query({ connectionString: () => url }, 'select 1 as one'), [{ one: 1 }])
  t.equal((await stat(clusterDir)).uid, nobody?.uid)
  t.equal((await stat(`/proc/${await serverPid(clusterDir)}`)).uid, nobody?.uid)
  platform.child.kill('SIGKILL')
  await platform.ended
  t.ok((await run('cycle', dataDir, nobody).says()).url, 'the same after a kill -9')
})

await t.test('as root the server runs as another user', needsRoot, async (t) => {
  const { dataDir, clusterDir } = await world(t)
  const postgres = await start(dataDir)
  const account = await serverAccount(clusterDir)
  t.ok(account?.uid)
  t.equal((await stat(`/proc/${await serverPid(clusterDir)}`)).uid, account?.uid)
  await postgres.stop()
})

await t.test('root can use a cluster that a user created, and the user can use it later', needsNobody, async (t) => {
  const { dataDir, clusterDir, run } = await world(t, nobody)
  t.ok((await run('cycle', dataDir, nobody).says()).url)
  const postgres = await start(dataDir)
  t.same(await query(postgres, 'select count(*)::int from notes'), [{ count: 0 }])
  t.equal((await stat(`/proc/${await serverPid(clusterDir)}`)).uid, nobody?.uid)
  await postgres.stop()
  t.ok((await run('cycle', dataDir, nobody).says()).url)
})

await t.test('a user gets an error for a cluster that root created', needsNobody, async (t) => {
  const { dataDir, run } = await world(t, nobody)
  await (await start(dataDir)).stop()
  t.match(
    (await run('cycle', dataDir, nobody).says()).error,
    /is not accessible to uid \d+; it belongs to uid \d+ .*DATABASE_URL/
  )
})

await t.test('a user without a passwd entry gets an error that names DATABASE_URL', needsRoot, async (t) => {
  const unnamed = { uid: 54_321, gid: 54_321 }
  const { dataDir, run } = await world(t, unnamed)
  t.match(
    (await run('cycle', dataDir, unnamed).says()).error,
    /uid 54321, which has no entry in \/etc\/passwd: set DATABASE_URL/
  )
})

await t.test(
  'as root, a data folder inside a closed one is rejected by name; a closed data folder is opened',
  needsRoot,
  async (t) => {
    const { folder, dataDir } = await world(t)
    await mkdir(dataDir, { mode: 0o700 })
    await (await start(dataDir)).stop()
    t.equal((await stat(dataDir)).mode & 0o777, 0o701)
    await chmod(folder, 0o700)
    await t.rejects(start(dataDir), { message: new RegExp(`may not enter ${folder} .*set DATA_DIR`) })
  }
)

await t.test('links that npm was not allowed to create are created', async (t) => {
  const { folder, dataDir } = await world(t)
  await mkdir(dataDir)
  const packageDir = await packageWithoutLinks(folder)
  const binDir = await prepareBinaries(packageDir, dataDir, await serverAccount(dataDir))
  t.equal(binDir, join(packageDir, 'native', 'bin'))
  t.match(await versionBy(binDir), /PostgreSQL/)
})

await t.test(
  'binaries that the server cannot reach, or whose links cannot be created, are copied',
  needsNobody,
  async (t) => {
    const { folder, dataDir, run } = await world(t, nobody)
    await mkdir(dataDir)
    const packageDir = await packageWithoutLinks(folder)
    await chown(dataDir, nobody?.uid ?? NaN, nobody?.gid ?? NaN)
    const { binDir } = await run('binaries', dataDir, { ...nobody, packageDir }).says()
    t.match(binDir, dataDir)
    t.match(await versionBy(binDir), /PostgreSQL/)

    await chmod(packageDir, 0o700)
    const another = join(folder, 'another')
    await mkdir(another)
    const copied = await prepareBinaries(packageDir, another, {
      name: 'nobody', uid: nobody?.uid ?? NaN, gid: nobody?.gid ?? NaN
    })
    t.match(copied, another)
    t.match(
      (await promisify(execFile)(join(copied, 'initdb'), ['--version'], { ...nobody, cwd: '/' })).stdout, /PostgreSQL/
    )
    t.equal(
      await prepareBinaries(packageDir, another, { name: 'nobody', uid: nobody?.uid ?? NaN, gid: nobody?.gid ?? NaN }),
      copied, 'once'
    )
  }
)

await t.test('a server that ignores signals is stopped by force', async (t) => {
  const deaf = spawn('sh', ['-c', 'trap "" INT QUIT; echo ready; while :; do sleep 0.05; done'])
  await once(deaf.stdout, 'data')
  const signals: string[] = []
  await endServer({
    send: (signal) => { signals.push(signal); deaf.kill(signal) },
    hasEnded: () => deaf.signalCode !== null
  }, () => {}, 1000)
  t.same(signals, ['SIGINT', 'SIGQUIT', 'SIGKILL'])
  t.equal(deaf.signalCode, 'SIGKILL')
})

await t.test('processes are distinguished without /proc as well', async (t) => {
  const { dataDir, clusterDir } = await usedWorld(t)
  const postgres = await start(dataDir)
  const pid = await serverPid(clusterDir)
  t.ok(await isServerOf(clusterDir, pid, 'darwin'))
  t.notOk(await isServerOf(join(dataDir, 'other'), pid, 'darwin'))
  t.notOk(await isServerOf(clusterDir, process.pid, 'darwin'))
  t.equal((await inspectProcess(pid, 'darwin'))?.startedAt, (await inspectProcess(pid, 'darwin'))?.startedAt)
  await postgres.stop()
  t.notOk(await inspectProcess(pid, 'darwin'))
})

async function start (dataDir: string, options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  return await startEmbeddedPostgres({
    dataDir,
    databases: ['realtime'],
    log: () => {},
    settings: { fsync: 'off' },
    ...options
  })
}

async function query (
  postgres: Pick<EmbeddedPostgres, 'connectionString'>, text: string, database = 'realtime'
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(postgres.connectionString(database))
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

interface Said { url: string, error?: string, binDir: string }

/** Like `world`, with a copy of a cluster that was started before. */
async function usedWorld (t: Test) {
  const own = await world(t)
  used ??= createUsed()
  // With its owners and modes.
  await promisify(execFile)('cp', ['-a', await used, own.dataDir])
  return own
}

async function createUsed (): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-postgres-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const dataDir = join(folder, 'data')
  await (await start(dataDir)).stop()
  // Each copy chooses its own port.
  await rm(join(dataDir, 'postgres', 'postmaster.opts'))
  return dataDir
}

/** A temporary folder and the processes in it, both removed after the test. */
async function world (t: Test, owner?: { uid: number, gid: number }) {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-postgres-'))
  await chmod(folder, 0o755)
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid)
  const dataDir = join(folder, 'data')
  const clusterDir = join(dataDir, 'postgres')
  const children: ChildProcess[] = []
  t.teardown(async () => {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(
      children.map(async (child) => await becomesTrue(() => (child.exitCode ?? child.signalCode) !== null, 5000))
    )
    await endOrphan(clusterDir, () => {}).catch(() => {})
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  })

  function run (
    task: string, dataDir: string,
    { packageDir = '', ...options }: { uid?: number, gid?: number, detached?: boolean, packageDir?: string } = {}
  ) {
    const isSource = import.meta.url.endsWith('.ts')
    const fixture = fileURLToPath(new URL(`./fixtures/embedded-process.${isSource ? 'ts' : 'js'}`, import.meta.url))
    // Without tap's loader, from our arguments or from NODE_OPTIONS: it cannot write its notes as another user.
    const loader = isSource ? ['--import', import.meta.resolve('tsx')] : []
    const child = spawn('/usr/bin/env', [
      '-u',
      'NODE_OPTIONS',
      process.execPath,
      ...loader,
      fixture,
      task,
      dataDir,
      packageDir
    ], { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const ended = once(child, 'exit')
    const lines = createInterface(child.stdout)
    const line = once(lines, 'line')
    async function says (): Promise<Said> {
      const [text] = await Promise.race([
        line,
        ended.then(async () => {
          throw new Error(`${task} ended without output`)
        })
      ]) as [string]
      return JSON.parse(text) as Said
    }
    line.catch(() => {})
    return { child, ended, says }
  }
  return { folder, dataDir, clusterDir, run }
}

async function serverPid (clusterDir: string): Promise<number> {
  const file = await readPidFile(clusterDir)
  if (typeof file !== 'object') throw new Error(`no pid file in ${clusterDir}`)
  return file.pid
}

async function isInitdbAtWork (dataDir: string): Promise<boolean> {
  const stage = (await readdir(dataDir).catch(() => [] as string[])).find((name) => name.startsWith('postgres.init-'))
  return stage !== undefined &&
    (await readdir(join(dataDir, stage, 'cluster')).catch(() => [] as string[])).includes('PG_VERSION')
}

async function packageWithoutLinks (folder: string): Promise<string> {
  const packageDir = join(folder, 'package')
  const links = JSON.parse(await readFile(join(findBinaryPackage(), 'native', 'pg-symlinks.json'), 'utf8')) as {
    target: string
  }[]
  await cp(findBinaryPackage(), packageDir, { recursive: true, verbatimSymlinks: true })
  for (const { target } of links) await rm(join(packageDir, target), { force: true })
  return packageDir
}

async function versionBy (binDir: string): Promise<string> {
  return (await promisify(execFile)(join(binDir, 'initdb'), ['--version'])).stdout
}

function deferred<T> () {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
