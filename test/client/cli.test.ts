import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import t, { type Test } from 'tap'
import { build, listen } from '../support/build.ts'
import { commandLine, type Finished } from '../support/command-line.ts'
import { startHttpProxy } from '../support/http-proxy.ts'
import { password, person } from '../support/people.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)
const schema = { type: 'object', required: ['total'], properties: { total: { type: 'number' } } }

/** Starts the command line with a token for an application with the topic `order.placed`. */
async function shopping (t: Test, server = url) {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  return { shop, cli: await commandLine(t, { REALTIME_URL: server, REALTIME_TOKEN: shop.token() }) }
}

/** Checks that a command failed with one sentence or two, without a stack trace. */
function failed (t: Test, { code, stderr }: Finished, expected: number, message: RegExp): void {
  t.equal(code, expected, stderr)
  t.match(stderr, message)
  t.notMatch(stderr, /^\s+at |node:internal/m)
}

const offsetsOf = async (shop: Tenant) =>
  ((await shop.request('GET', '/api/topics/order.placed/events?limit=1000')).body as { offset: number }[])
    .map(({ offset }) => offset)

t.test('help lists the commands, and each command explains itself', async t => {
  const { run } = await commandLine(t)
  const { code, stdout } = await run(['help'])
  t.equal(code, 0)
  for (const name of ['login', 'logout', 'generate', 'tail', 'publish', 'doctor']) {
    t.match(stdout, new RegExp(`^  ${name} +[A-Z]`, 'm'))
    const [byOption, byCommand] = await Promise.all([run([name, '--help']), run(['help', name])])
    t.equal(byOption.code, 0)
    t.match(byOption.stdout, `Usage: realtime-platform ${name}`)
    t.equal(byOption.stdout, byCommand.stdout)
    t.ok(byOption.stdout.split('\n').every(line => line.length <= 90), 'lines fit a terminal')
  }
  t.match((await run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
})

t.test('wrong usage ends with 2 and names what is meant', async t => {
  const { run } = await commandLine(t)
  t.equal((await run([])).code, 2)
  failed(t, await run(['tial']), 2, /Did you mean "tail"\?/)
  failed(t, await run(['something']), 2, /Run "realtime-platform help"/)
  failed(t, await run(['tail', '--fliter', 'x']), 2, /Did you mean --filter\?/)
  failed(t, await run(['tail']), 2, /topic is missing/)
  failed(t, await run(['tail', 'a', 'b']), 2, /one argument too many/)
  failed(t, await run(['tail', 'a', '--after', 'x']), 2, /--after is a whole number/)
  failed(t, await run(['tail', 'a.*', '--after', '1']), 2, /use --since or --rewind/)
  failed(t, await run(['tail', 'a', '--since', 'soon']), 2, /10m, 2h, 7d or an ISO date/)
  failed(t, await run(['tail', 'a', '--filter', '{']), 2, /--filter is not JSON/)
  failed(t, await run(['generate', '--check']), 2, /Name it with -o/)
  failed(t, await run(['doctor', '--origin', 'example']), 2, /https:\/\/app\.example\.com/)
  failed(t, await run(['generate']), 2, /No server is set\. Run "realtime-platform login"/)
  failed(t, await run(['generate'], { more: { REALTIME_URL: url } }), 2, /No credential for/)
  const variables = { REALTIME_URL: url, REALTIME_TOKEN: 'x' }
  failed(t, await run(['generate', '--environment', 'x'], { more: variables }), 2, /development, staging, production/)
  failed(t, await run(['generate', '--url', 'ftp://x'], { more: variables }), 2, /not the URL of a server/)
})

t.test('login stores a session that only the user can read; logout ends it', async t => {
  const { run, folder } = await commandLine(t)
  const ada = await person(app, 'admin')
  const [first, second] = [await tenant(app), await tenant(app)]
  await second.topic('order.placed')
  const wrong = await run(['login', '--url', url], { input: `${ada.email}\na wrong password\n` })
  failed(t, wrong, 1, /Invalid email or password/)

  const input = `${ada.email}\n${password}\n${second.applicationId}\nstaging\n`
  const { code, stdout, stderr } = await run(['login', '--url', `${url}/`], { input })
  t.equal(code, 0, stderr)
  t.match(stderr, `as ${ada.email}`)
  t.match(stderr, new RegExp(`${first.applicationId}.*${second.applicationId}.*environment staging`, 's'))
  t.notMatch(stdout + stderr, /sess_|a long pass phrase/, 'no secret is printed')

  const path = join(folder, 'config/realtime-platform/config.json')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  const { profiles } = JSON.parse(await readFile(path, 'utf8')) as { profiles: Record<string, { token: string }> }
  t.match(profiles['default'], { url, applicationId: second.applicationId, environment: 'staging', token: /^sess_/ })

  const published = await run(['publish', 'order.placed', '1', '--environment', 'development'])
  t.equal(published.stdout, 'order.placed #1\n', published.stderr)
  const elsewhere = await run(['publish', 'order.placed', '1', '--url', 'http://127.0.0.1:9'])
  failed(t, elsewhere, 2, /No credential for http:\/\/127\.0\.0\.1:9/)
  failed(t, await run(['tail', 'order.placed', '--profile', 'other']), 2, /login --profile other/)

  t.equal((await run(['logout'])).code, 0)
  t.notMatch(await readFile(path, 'utf8'), /sess_/)
  const { status } = await ada.get('/api/auth/me', { headers: { authorization: profiles['default']?.token ?? '' } })
  t.equal(status, 401, 'the session has ended')
  failed(t, await run(['logout']), 2, /no profile "default"/)
  await writeFile(path, '{')
  failed(t, await run(['generate']), 2, /is damaged/)
})

t.test('login asks for a code where the account requires one', async t => {
  const { run } = await commandLine(t)
  const ada = await person(app, 'admin')
  const { applicationId } = await tenant(app)
  const { body: { secret } } = await ada.post(`/api/users/${ada.id}/mfa/setup`, { currentPassword: password })
  const totp = new TOTP({ secret: Secret.fromBase32(secret as string) })
  await ada.post(`/api/users/${ada.id}/mfa/confirm`, { code: totp.generate() })
  // Allows the login to use a code of the same time step.
  await app.db.updateTable('users').set({ mfa_last_step: 1 }).where('id', '=', ada.id).execute()
  const input = `${ada.email}\n${password}\n${totp.generate()}\n\n`
  const { code, stderr } = await run(['login', '--url', url, '--application', applicationId], { input })
  t.equal(code, 0, stderr)
  t.match(stderr, /Code of the authenticator app.*Logged in/s)
})

t.test('login takes a token, also from standard input, without printing it', async t => {
  const { run } = await commandLine(t)
  const shop = await tenant(app)
  await shop.topic('order.placed')
  for (const [args, input] of [[['--token', shop.token()], ''], [['--token', '-'], `${shop.token()}\n`]] as const) {
    const { code, stdout, stderr } = await run(['login', '--url', url, '--profile', 'ci', ...args], { input })
    t.equal(code, 0, stderr)
    t.match(stderr, shop.applicationId)
    t.notMatch(stdout + stderr, /eyJ/)
    t.equal((await run(['publish', 'order.placed', '1', '--profile', 'ci'])).code, 0)
  }
  failed(t, await run(['login', '--url', url, '--token', 'not.a.token']), 1, /login/)
  failed(t, await run(['login', '--url', 'http://127.0.0.1:9', '--token', 'x']), 1, /cannot be reached.*doctor/)
})

t.test('generate writes the types of the registry, and --check shows what is stale', async t => {
  const { shop, cli: { run, folder } } = await shopping(t)
  await shop.request('POST', '/api/schemas/order.placed', { schema })
  const file = join(folder, 'topics.ts')
  failed(t, await run(['generate', '-o', 'topics.ts', '--check']), 1, /does not exist/)
  t.equal((await run(['generate', '-o', 'topics.ts'])).code, 0)
  const written = await readFile(file, 'utf8')
  t.match(written, /'order\.placed': \{\n\s+total: number/)
  t.equal((await run(['generate'])).stdout.trimEnd(), written.trimEnd())
  t.equal((await run(['generate', '-o', 'topics.ts', '--check'])).code, 0)

  await writeFile(file, written.replace('total: number', 'total: string'))
  const stale = await run(['generate', '-o', 'topics.ts', '--check'])
  failed(t, stale, 1, /topics\.ts is stale\. Run "realtime-platform generate -o topics\.ts"/)
  t.match(stale.stdout, /^-\s+total: string\n\+\s+total: number$/m)
  t.match(await readFile(file, 'utf8'), /total: string/, 'a check writes nothing')
  failed(t, await run(['generate', '-o', 'no/such/folder.ts']), 2, /There is no file or folder/)
})

t.test('publish stores JSON from an argument, a pipe or a file', async t => {
  const { shop, cli: { run, folder } } = await shopping(t)
  await writeFile(join(folder, 'event.json'), '{"total": 3}')
  const keyed = await run(['publish', 'order.placed', '{"total":1}', '--key', 'k1'])
  t.match(keyed, { code: 0, stdout: 'order.placed #1\n' })
  t.match(await run(['publish', 'order.placed'], { input: '{"total":2}' }), { code: 0, stdout: 'order.placed #2\n' })
  t.match(await run(['publish', 'order.placed', '@event.json']), { code: 0, stdout: 'order.placed #3\n' })
  for (let i = 0; i < 2; i++) {
    const once = await run(['publish', 'order.placed', '4', '--idempotency-key', 'four'])
    t.equal(once.stdout, 'order.placed #4\n')
  }
  const { body } = await shop.request('GET', '/api/topics/order.placed/events')
  t.match(body, [
    { key: 'k1', payload: { total: 1 } }, { payload: { total: 2 } }, { payload: { total: 3 } }, { payload: 4 }
  ])
  failed(t, await run(['publish', 'order.placed', 'hello']), 2, /A text needs quotes: '"hello"'/)
  failed(t, await run(['publish', 'order.placed', '@missing']), 2, /There is no file or folder missing/)
  failed(t, await run(['publish', 'no.such', '1']), 1, /no\.such/)
  const bad = await run(['publish', 'order.placed', '1'], { more: { REALTIME_TOKEN: `sess_${'x'.repeat(43)}` } })
  failed(t, bad, 1, /realtime-platform login/)
  await shop.request('POST', '/api/schemas/order.placed', { schema })
  failed(t, await run(['publish', 'order.placed', '{"total":"x"}']), 1, /total must be number/)
})

t.test('publish --ndjson stores every line in order, and once where it is repeated', async t => {
  const { shop, cli: { run, folder } } = await shopping(t)
  const lines = Array.from({ length: 1205 }, (_, n) => JSON.stringify({ n })).join('\n')
  const args = ['publish', 'order.placed', '--ndjson', '--idempotency-key', 'import']
  for (let i = 0; i < 2; i++) {
    const { code, stdout } = await run(args, { input: `${lines}\n\n` })
    t.equal(code, 0)
    t.strictSame(stdout.trim().split('\n'), Array.from({ length: 1205 }, (_, n) => `order.placed #${n + 1}`))
  }
  t.equal((await offsetsOf(shop)).length, 1000)
  await writeFile(join(folder, 'more.ndjson'), `${lines}\n{oops\n`)
  const broken = await run(['publish', 'order.placed', '@more.ndjson', '--ndjson'])
  failed(t, broken, 2, /1000 events were stored, up to line 1000\.\nLine 1206 is not JSON/)
  failed(t, await run(['publish', 'order.placed', '@missing', '--ndjson']), 2, /There is no file or folder missing/)
})

t.test('tail prints events, from the past and as they happen', async t => {
  const { shop, cli: { run, start } } = await shopping(t)
  await shop.publish('order.placed', { n: 1, text: 'a\u001b[31m' }, { n: 2 }, { n: 3 })
  const all = await run(['tail', 'order.placed', '--after', '0', '-n', '3'])
  t.equal(all.code, 0, all.stderr)
  t.equal(all.stdout.trim().split('\n').length, 3)
  t.match(all.stdout, /^\d\d:\d\d:\d\d\.\d{3} order\.placed #1 \{"n":1,"text":"a\\u001b\[31m"\}$/m)
  t.notMatch(all.stdout, '\u001b', 'no colors without a terminal')
  const json = await run(['tail', 'order.*', '--rewind', '1', '-n', '1', '--json'])
  t.match(JSON.parse(json.stdout), { topic: 'order.placed', offset: 3, payload: { n: 3 } })
  t.match(await run(['tail', 'order.placed', '--since', '10m', '-n', '1', '--filter', '{"n":2}']), { stdout: /#2 / })

  const live = start(['tail', 'order.placed', '--rewind', '1'])
  await until(() => live.output.stdout.includes('#3'), () => `the latest event: ${live.output.stderr}`)
  await shop.publish('order.placed', { n: 4 })
  await until(() => live.output.stdout.includes('#4'), 'the live event')
  live.child.kill('SIGINT')
  t.match(await live.finished, { code: 0, stderr: '' })
  failed(t, await run(['tail', 'no.such.topic']), 1, /no\.such\.topic/)
  failed(t, await run(['tail', 'order.placed'], { more: { REALTIME_TOKEN: 'x' } }), 1, /realtime-platform login/)
})

t.test('tail ends quietly when its reader ends, as with head', async t => {
  const { shop, cli: { start } } = await shopping(t)
  await shop.publish('order.placed', ...Array.from({ length: 200 }, (_, n) => ({ n, text: 'x'.repeat(2000) })))
  const { child, finished, output } = start(['tail', 'order.placed', '--after', '0'])
  await until(() => output.stdout.includes('#1 '), 'the first event')
  child.stdout.destroy()
  await shop.publish('order.placed', 'one more')
  t.match(await finished, { code: 0, stderr: '' })
})

t.test('tail resumes after a cut where it was', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  let isDown = false
  const proxy = await startHttpProxy(t, url, {
    answer: (_request, response) => { if (isDown) response.destroy(); return isDown },
    passesUpgrade: () => !isDown
  })
  const cli = await commandLine(t, { REALTIME_URL: proxy.url, REALTIME_TOKEN: shop.token() })
  const live = cli.start(['tail', 'order.placed', '--after', '0'])
  await shop.publish('order.placed', 1)
  await until(() => live.output.stdout.includes('#1 '), () => `the first event: ${live.output.stderr}`)
  isDown = true
  proxy.cut()
  await until(() => live.output.stderr.includes('trying again'), 'the cut to be reported')
  await shop.publish('order.placed', 2, 3)
  isDown = false
  await until(() => live.output.stdout.includes('#3 '), 'the events of the cut')
  await until(() => live.output.stderr.includes('Connected again.'), () => `the report: ${live.output.stderr}`)
  t.equal(live.output.stdout.trim().split('\n').length, 3)
  live.child.kill('SIGTERM')
  t.equal((await live.finished).code, 0)
})

t.test('tail reports a gap on standard error, and goes on', async t => {
  const { shop, cli: { start } } = await shopping(t)
  await shop.publish('order.placed', 1, 2, 3)
  const live = start(['tail', 'order.placed', '--after', '99', '-n', '1'])
  await until(() => live.output.stderr.includes('Gap in order.placed: offsets 100 to'), () => live.output.stderr)
  await shop.publish('order.placed', 4)
  t.match(await live.finished, { code: 0, stdout: /#4 4$/m })
})

t.test('a closed port is one sentence', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  const { run } = await commandLine(t, { REALTIME_URL: `http://127.0.0.1:${port}`, REALTIME_TOKEN: 'x' })
  failed(t, await run(['generate']), 1, /cannot be reached\. Run "realtime-platform doctor"/)
})
