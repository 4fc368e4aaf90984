import { isTokenExpired } from '@realtime-platform/client'
import { once } from 'node:events'
import { createServer as createHttps } from 'node:https'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { build, listen } from '../support/build.ts'
import { commandLine } from '../support/command-line.ts'
import { startHttpProxy, type ProxyBehaviour } from '../support/http-proxy.ts'
import { person } from '../support/people.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { certificate, privateKey } from '../support/certificate.ts'

/* Each check of `doctor`, against a server or a proxy that has the fault. */

const origin = 'https://app.example.com'
const { app } = await build(t, { variables: { CORS_ORIGINS: origin } })
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')
const { run } = await commandLine(t)

interface Diagnosis { ok: boolean, checks: { name: string, status: string, message: string, advice?: string }[] }

async function diagnose (server: string, args: string[] = [], token = shop.token()) {
  const more = { REALTIME_URL: server, REALTIME_TOKEN: token }
  const { code, stdout, stderr } = await run(['doctor', '--json', ...args], { more })
  const { ok, checks } = JSON.parse(stdout) as Diagnosis
  return { code, ok, stderr, byName: Object.fromEntries(checks.map(check => [check.name, check])) }
}

/** Expects that exactly these checks are not ok, with such a message and such an advice. */
function expectFaults (
  t: Test, { code, ok, byName }: Awaited<ReturnType<typeof diagnose>>,
  faults: Record<string, { status: 'fail' | 'warn', message: RegExp, advice: RegExp }>
): void {
  const faulty = Object.values(byName).filter(({ status }) => status === 'fail' || status === 'warn')
  // A busy machine is slow.
  const names = faulty.map(({ name }) => name).filter(name => name !== 'latency')
  t.strictSame(names.sort(), Object.keys(faults).sort())
  for (const [name, fault] of Object.entries(faults)) t.match(byName[name], fault)
  const hasFailed = Object.values(faults).some(({ status }) => status === 'fail')
  t.equal(ok, !hasFailed)
  t.equal(code, hasFailed ? 1 : 0)
}

const proxied = async (t: Test, behaviour: ProxyBehaviour) => (await startHttpProxy(t, url, behaviour)).url

t.test('a healthy server passes every check', async t => {
  const healthy = await diagnose(url, ['--origin', origin, '--topic', 'order.placed'])
  expectFaults(t, healthy, {})
  t.equal(healthy.stderr, '')
  t.strictSame(Object.keys(healthy.byName), [
    'versions', 'dns', 'tls', 'server', 'readiness', 'clock', 'latency', 'token', 'websocket', 'socket.io',
    'connection', 'round trip', 'cors'
  ])
  t.match(healthy.byName, { token: { message: shop.applicationId }, 'round trip': { status: 'ok', message: /\d+ ms/ } })
  t.equal((await diagnose(url)).byName['cors']?.status, 'skip')

  const { code, stdout } = await run(['doctor'], { more: { REALTIME_URL: url, REALTIME_TOKEN: shop.token() } })
  t.equal(code, 0)
  t.match(stdout, /^ok {4}token {7}a token for app_/m)
  t.match(stdout, /No problem found/)
  t.notMatch(stdout, /eyJ/, 'the token is not printed')
})

t.test('a closed port', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  expectFaults(t, await diagnose(`http://127.0.0.1:${port}`), {
    server: { status: 'fail', message: /the port is closed/, advice: /the server runs/ }
  })
})

t.test('a host name that does not exist', async t => {
  expectFaults(t, await diagnose('http://nothing.invalid'), {
    dns: { status: 'fail', message: /nothing\.invalid/, advice: /host name/ }
  })
})

t.test('another program at the URL', async t => {
  const other = await proxied(t, {
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>')
      return true
    }
  })
  expectFaults(t, await diagnose(other), {
    server: { status: 'fail', message: /not as the platform does/, advice: /path of the URL/ }
  })
})

t.test('a self-signed certificate, and a port without TLS', async t => {
  const server = createHttps({ cert: certificate, key: privateKey }, (_request, response) => response.end()).listen(0)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  expectFaults(t, await diagnose(`https://localhost:${port}`), {
    tls: { status: 'fail', message: /self-signed/, advice: /NODE_EXTRA_CA_CERTS/ }
  })
  expectFaults(t, await diagnose(url.replace('http:', 'https:')), {
    tls: { status: 'fail', message: /does not speak TLS/, advice: /https or http/ }
  })
})

t.test('a clock that differs', async t => {
  const skewed = (ms: number) => proxied(t, {
    changeHeaders: headers => { headers.date = new Date(Date.now() + ms).toUTCString() }
  })
  expectFaults(t, await diagnose(await skewed(600_000)), {
    clock: { status: 'fail', message: /behind the server/, advice: /NTP/ }
  })
  expectFaults(t, await diagnose(await skewed(-30_000)), {
    clock: { status: 'warn', message: /ahead of the server/, advice: /NTP/ }
  })
})

t.test('a token that has expired, is invalid, expires soon or names no application', async t => {
  const short = shop.token(['admin'], { expiresInS: 1 })
  await until(() => isTokenExpired(short), 'the token to expire')
  const login = /realtime-platform login/
  expectFaults(t, await diagnose(url, [], short), { token: { status: 'fail', message: /has expired/, advice: login } })
  expectFaults(t, await diagnose(url, [], 'x'), { token: { status: 'fail', message: /not valid/, advice: login } })
  expectFaults(t, await diagnose(url, [], shop.token(['admin'], { expiresInS: 120 })), {
    token: { status: 'warn', message: /expires in \d+ (?:s|minutes)/, advice: /function/ }
  })
  expectFaults(t, await diagnose(url, [], (await person(app, 'admin')).token), {
    token: { status: 'fail', message: /no application/, advice: /REALTIME_APPLICATION/ }
  })
  expectFaults(t, await diagnose(url, ['--application', 'app_other']), {
    token: { status: 'fail', message: /not for app_other/, advice: /application of the token/ }
  })
})

t.test('a proxy that strips Upgrade', async t => {
  const nginx = /proxy_set_header Upgrade/
  expectFaults(t, await diagnose(await proxied(t, { passesUpgrade: () => false })), {
    websocket: { status: 'fail', message: /instead of an upgrade/, advice: nginx },
    'socket.io': { status: 'warn', message: /only long polling works/, advice: /socketIo\(\)/ }
  })
})

t.test('a proxy that does not pass /socket.io', async t => {
  const isPolling = (path: string) => path.startsWith('/socket.io') && path.includes('polling')
  const refuse: ProxyBehaviour['answer'] = ({ url }, response) => {
    if (!isPolling(url)) return false
    response.writeHead(404).end()
    return true
  }
  expectFaults(t, await diagnose(await proxied(t, { answer: refuse })), {
    'socket.io': { status: 'warn', message: /long polling got 404/, advice: /GET and POST/ }
  })
  const passesUpgrade: ProxyBehaviour['passesUpgrade'] = ({ url }) => !url.startsWith('/socket.io')
  expectFaults(t, await diagnose(await proxied(t, { answer: refuse, passesUpgrade })), {
    'socket.io': { status: 'fail', message: /neither/, advice: /all requests of \/socket\.io/ }
  })
})

t.test('an origin that CORS does not allow', async t => {
  expectFaults(t, await diagnose(url, ['--origin', 'https://other.example.com']), {
    cors: { status: 'fail', message: /https:\/\/other\.example\.com may not call/, advice: /CORS_ORIGINS/ }
  })
})

t.test('a component that has failed', async t => {
  const failing = await proxied(t, {
    answer: ({ url }, response) => {
      if (url !== '/health/ready') return false
      response.writeHead(503, { 'content-type': 'application/json' })
        .end(JSON.stringify({ status: 'failed', components: { database: { status: 'failed' } } }))
      return true
    }
  })
  expectFaults(t, await diagnose(failing), {
    readiness: { status: 'fail', message: /database is failed/, advice: /log of the server/ }
  })
})

t.test('a topic that may not be published to', async t => {
  const reader = shop.token(['subscribe'])
  expectFaults(t, await diagnose(url, ['--topic', 'order.placed'], reader), {
    'round trip': { status: 'fail', message: /did not arrive/, advice: /may publish/ }
  })
})
