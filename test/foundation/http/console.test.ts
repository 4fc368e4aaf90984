import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { build } from '../../support/build.ts'
import type { Teardown } from '../../support/teardown.ts'

/* The console is served from the folder in which it is built, and with headers of its own. */

t.setTimeout(180_000)

const navigation = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

/** Writes a console as Vite builds it. */
async function builtConsole (t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'realtime-console-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'assets'))
  const script = 'document.title = "console"'
  const files = {
    'index.html': '<!doctype html><meta property="csp-nonce" nonce="__CSP_NONCE__"><script src="/assets/index-1.js">',
    'favicon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
    '.env': 'SECRET=1',
    'assets/.hidden': 'SECRET=2',
    'assets/index-1.js': script,
    'assets/index-1.js.gz': gzipSync(script)
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

const folder = await builtConsole(t)
const { app } = await build(t, { variables: { CONSOLE_DIR: folder } })

t.test('the page is sent for / and for every path of the console, with its own policy and a nonce', async t => {
  const nonces = new Set<string>()
  for (const url of ['/', '/login', '/accept-invite', '/reset-password', '/topics/order.placed?tab=events', '/a/b/c']) {
    const { statusCode, headers, body } = await app.inject({ url, headers: navigation })
    t.equal(statusCode, 200, url)
    t.match(headers, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }, url)
    const policy = String(headers['content-security-policy'])
    const nonce = /'nonce-([\w-]{22})'/.exec(policy)?.[1]
    t.ok(nonce !== undefined && body.includes(`nonce="${nonce}"`), url)
    t.match(policy, /script-src 'self';/)
    t.notMatch(policy, /unsafe/)
    t.match(headers['x-content-type-options'], 'nosniff')
    nonces.add(nonce ?? '')
  }
  t.equal(nonces.size, 6, 'each response has another nonce')
  const badHost = await app.inject({ url: '/login', headers: { ...navigation, host: 'a b' } })
  t.equal(badHost.statusCode, 400, 'the host is checked first')
  t.ok((await app.inject({ url: '/login', headers: navigation })).headers['x-request-id'])
  const head = await app.inject({ method: 'HEAD', url: '/topics', headers: navigation })
  t.match([head.statusCode, head.body], [200, ''])
})

t.test('unknown paths of the server, and requests that are no navigation, are refused as before', async t => {
  const others = [
    { url: '/api/nowhere', headers: navigation }, { url: '/auth/nowhere', headers: navigation },
    { url: '/API/nowhere', headers: navigation }, { url: '/docs/nowhere', headers: navigation },
    { url: '/health/nowhere', headers: navigation }, { url: '/.well-known/nowhere', headers: navigation },
    { url: '/assets/nowhere.js', headers: navigation }, { url: '/assets/', headers: navigation },
    { url: '//api/topics', headers: navigation }, { url: '/%61pi/nowhere', headers: navigation },
    { url: '/topics', headers: { accept: '*/*' } }, { url: '/topics', headers: { accept: 'application/json' } },
    { url: '/topics' }, { method: 'POST' as const, url: '/topics', headers: navigation }
  ]
  for (const request of others) {
    const { statusCode, headers, body } = await app.inject(request)
    t.equal(statusCode, 404, request.url)
    t.match(headers['content-type'], /^application\/json/, request.url)
    t.match(JSON.parse(body), { code: 'ROUTE_NOT_FOUND' }, request.url)
    t.notMatch(headers['content-security-policy'], /unsafe|nonce/, request.url)
  }
  t.equal((await app.inject({ url: '/api/topics', headers: navigation })).statusCode, 401)
})

t.test('assets may be cached for ever and are compressed; other files are revalidated', async t => {
  const asset = await app.inject('/assets/index-1.js')
  t.match(asset.headers, {
    'content-type': /javascript/, 'cache-control': 'public, max-age=31536000, immutable', etag: /./
  })
  t.equal(asset.body, 'document.title = "console"')
  t.match(asset.headers['content-security-policy'], /connect-src 'self'/, 'a worker may talk to the server')
  const zipped = await app.inject({ url: '/assets/index-1.js', headers: { 'accept-encoding': 'gzip' } })
  t.match(zipped.headers, { 'content-encoding': 'gzip', 'content-type': /javascript/, vary: 'accept-encoding' })
  const icon = await app.inject('/favicon.svg')
  t.match([icon.statusCode, icon.headers['content-type']], [200, 'image/svg+xml'])
  t.match(icon.headers['cache-control'], 'no-cache')
  const again = await app.inject({ url: '/favicon.svg', headers: { 'if-none-match': String(icon.headers.etag) } })
  t.equal(again.statusCode, 304)
})

t.test('nothing outside the assets is served', async t => {
  for (
    const url of [
      '/.env', '/assets/.hidden', '/assets/../.env', '/assets/%2e%2e/.env', '/assets/..%2f.env',
      '/assets/..%5c.env', '/assets/%00',
      '/assets//etc/passwd', '/assets/..%2f..%2f..%2fetc%2fpasswd', '/assets/index-1.js%00.html', '/assets/%'
    ]
  ) {
    const { statusCode, body } = await app.inject(url)
    t.ok(statusCode >= 400 && statusCode < 500, `${url}: ${statusCode}`)
    t.notMatch(body, /SECRET|root:|ENOENT|realtime-console/, url)
  }
})

t.test('without a built console, / and the links of mails lead to the documentation', async t => {
  const { app } = await build(t, { variables: { CONSOLE_DIR: join(folder, 'nowhere') } })
  const leadsTo = async (url: string) => {
    const { statusCode, headers } = await app.inject({ url, headers: navigation })
    return [statusCode, headers.location]
  }
  t.same(await leadsTo('/'), [302, '/docs'])
  t.same(await leadsTo('/accept-invite'), [302, '/docs/AUTH.md#invite-users'])
  t.same(await leadsTo('/reset-password'), [302, '/docs/AUTH.md#invite-users'])
  t.equal((await app.inject({ url: '/topics', headers: navigation })).statusCode, 404)
})
