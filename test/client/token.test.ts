import { decodeToken, getTokenExpiresIn, isTokenExpired, shouldRefreshToken } from '@realtime-platform/client'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { libraryClient, libraryTransports } from '../support/library-clients.ts'
import { startNetwork } from '../support/network.ts'
import { root } from '../support/repository.ts'
import { tenant } from '../support/tenant.ts'
import { elapse, until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')

t.test('the documented functions read tokens', async t => {
  const token = shop.token(undefined, { subject: 'user-7 ü', expiresInS: 60 })
  t.match(decodeToken(token), { sub: 'user-7 ü', aud: shop.applicationId, exp: Number })
  t.equal(isTokenExpired(token), false)
  t.ok(getTokenExpiresIn(token) > 30_000 && getTokenExpiresIn(token) <= 60_000)
  t.equal(shouldRefreshToken(token), true, 'within a minute')
  t.equal(shouldRefreshToken(token, 1000), false)
  const ended = shop.token(undefined, { expiresInS: -1 })
  t.same([isTokenExpired(ended), getTokenExpiresIn(ended), shouldRefreshToken(ended)], [true, 0, true])
  for (const text of ['', 'rtk_4fK9sLq27c', 'a.b.c', 'a.bnVsbA.c']) {
    t.same([decodeToken(text), isTokenExpired(text), getTokenExpiresIn(text)], [null, false, Infinity], text)
  }
})

for (const { name, options } of libraryTransports) {
  t.test(`over ${name}, a token is replaced before it expires, without a reconnect`, async t => {
    let fetched = 0
    const { client, changes, errors } = libraryClient(t, {
      url, ...options(), token: async () => { fetched++; return shop.token(undefined, { expiresInS: 4 }) }
    })
    const events: unknown[] = []
    const subscription = client.topic('order.placed').subscribe(event => events.push(event))
    await client.connect()
    await subscription.ready
    await elapse(9000)
    t.ok(fetched >= 3 && fetched <= 6, `${fetched} tokens`)
    t.same(errors, [])
    t.equal(changes.length, 2, 'the connection stays')
    await shop.publish('order.placed', 1)
    await until(() => events.length > 0, 'the event')
  })

  t.test(`over ${name}, a token of another subject is refused, and the connection keeps its own`, async t => {
    const { client } = libraryClient(t, { url, token: shop.token(), ...options() })
    await client.connect()
    await t.rejects(client.setToken(shop.token(undefined, { subject: 'another' })), { code: 'PERMISSION_DENIED' })
    await t.rejects(client.setToken('no token'), { code: 'CREDENTIAL_INVALID' })
    await t.rejects(client.setToken(() => { throw new Error('signed out') }), { code: 'TOKEN_UNAVAILABLE' })
    await client.setToken(() => shop.token())
    t.equal(client.state, 'connected')
    const principal = () => [...app.connections.all()].find(({ id }) => id === client.socketId)?.principal
    const before = principal()
    await client.setToken(shop.token(['subscribe']))
    t.not(principal(), before)
    client.disconnect()
    await client.setToken(shop.token(undefined, { subject: 'another' }))
    await client.connect()
    t.match(principal(), { subject: 'another' })
  })
}

for (const { name, options } of libraryTransports) {
  t.test(`over ${name}, tokens that have expired on arrival are replaced until one arrives in time`, async t => {
    const topic = await shop.topic(`order.late.${name.replace(/\W/g, '').toLowerCase()}`)
    let fetched = 0
    const { client, states } = libraryClient(t, {
      url, ...options(), token: () => shop.token(undefined, { expiresInS: fetched++ < 6 ? -fetched : 60 })
    })
    const receipt = client.topic(topic).publish({ n: 1 })
    const read = client.topic(topic).history().next()
    await client.connect()
    t.notOk(states().includes('disconnected'))
    t.match(await receipt, { offset: 1 }, 'a write that waits is kept')
    await t.resolves(read)
  })

  t.test(`over ${name}, a function that returns the same expired token ends the client`, async t => {
    const token = shop.token(undefined, { expiresInS: -1 })
    let fetched = 0
    const { client } = libraryClient(t, { url, ...options(), token: () => { fetched++; return token } })
    await t.rejects(client.connect(), { code: 'CREDENTIAL_INVALID' })
    t.equal(fetched, 2)
    await t.rejects(client.topic('order.placed').publish({ n: 1 }), { code: 'CREDENTIAL_INVALID' })
  })
}

t.test('when the function turns to another subject, the client reports it and stays connected', async t => {
  let subject = 'tester'
  const { client, errors, changes } = libraryClient(t, {
    url, token: () => shop.token(undefined, { subject, expiresInS: 4 })
  })
  await client.connect()
  subject = 'another'
  await until(() => errors.length > 0, 'the error')
  t.match(errors, [{ code: 'PERMISSION_DENIED' }])
  await until(() => changes.length > 3, 'the token to expire')
  t.match(changes[2], { state: 'reconnecting', code: 4402 })
})

t.test('the connection and REST requests share one fetch of the token', async t => {
  let fetched = 0
  const { client } = libraryClient(t, {
    url, async token () {
      fetched++
      await elapse(200)
      return shop.token()
    }
  })
  await Promise.all([
    client.connect(), ...[1, 2, 3].map(() => client.topic('order.placed').history().next())
  ])
  t.equal(fetched, 1)
})

t.test('a function that throws is reported and called again', async t => {
  let fetched = 0
  const { client, changes, errors } = libraryClient(t, {
    url, token () {
      if (fetched++ < 3) throw new Error('the login has expired')
      return shop.token()
    }
  })
  await client.connect()
  t.match(changes[1], {
    state: 'connecting', error: { code: 'TOKEN_UNAVAILABLE', message: 'No token: the login has expired', cause: Error }
  })
  t.match(errors, [1, 2, 3].map(() => ({ code: 'TOKEN_UNAVAILABLE' })))
})

t.test('a function that returns no text is an error', async t => {
  const { client, changes } = libraryClient(t, { url, token: () => '' })
  client.connect().catch(() => {})
  await until(() => changes.length > 2, 'two attempts')
  t.match(changes[1], { error: { code: 'TOKEN_UNAVAILABLE', message: /did not return a string/ } })
})

t.test('a function that does not return in time is given up, and its signal is aborted', async t => {
  const aborted: boolean[] = []
  const { client, changes } = libraryClient(t, {
    url, async token ({ signal }) {
      if (aborted.length > 0) return shop.token()
      return await new Promise(resolve => {
        signal.addEventListener('abort', () => { aborted.push(signal.aborted); resolve(shop.token()) })
      })
    }
  })
  await client.connect()
  t.match(changes[1], { error: { code: 'TOKEN_UNAVAILABLE', message: /within 15 s/ } })
  t.same(aborted, [true])
})

t.test('a token that lasts for months is not fetched again at once', async t => {
  let fetched = 0
  const { client } = libraryClient(t, {
    url, token () { fetched++; return shop.token(undefined, { expiresInS: 100 * 86_400 }) }
  })
  await client.connect()
  await elapse(500)
  t.equal(fetched, 1)
})

/** Runs a program that uses the library in its own process. Resolves with its output when it has ended. */
async function run (program: string, variables: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root, env: { ...process.env, ...variables }, stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the program ended with ${code}: ${output}`)
  return output
}

t.test('a client with a wrong clock neither fetches tokens in a loop nor loses its connection', async t => {
  const issuer = createServer((_request, response) => response.end(shop.token(undefined, { expiresInS: 4 })))
  issuer.listen(0, '127.0.0.1')
  await once(issuer, 'listening')
  t.teardown(() => { issuer.close() })
  const program = `
    const now = Date.now
    Date.now = () => now() + Number(process.env.SKEW_MS)
    const { RealtimeClient } = await import('@realtime-platform/client')
    let fetched = 0, changes = 0
    const client = new RealtimeClient({ url: process.env.URL, token: () => {
      fetched++
      return fetch(process.env.ISSUER).then(response => response.text())
    } })
    client.on('connection', () => { changes++ })
    await client.connect()
    setTimeout(() => {
      client.disconnect()
      console.log(JSON.stringify({ fetched, changes }))
    }, 9000)`
  await Promise.all([-3_600_000, -3000, 3000, 3_600_000].map(async skewMs => {
    const { fetched, changes } = JSON.parse(await run(program, {
      SKEW_MS: String(skewMs), URL: url, ISSUER: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`
    })) as { fetched: number, changes: number }
    t.ok(fetched >= 3 && fetched <= 8, `${fetched} tokens at ${skewMs}`)
    t.equal(changes, 2, `connected and disconnected at ${skewMs}`)
  }))
})

t.test('after disconnect() nothing keeps the process alive', async t => {
  const network = await startNetwork(t, url)
  const program = `
    import { RealtimeClient } from '@realtime-platform/client'
    import { socketIo } from '@realtime-platform/client/socket.io'
    const others = [socketIo({ transports: ['websocket'] }), socketIo({ transports: ['polling'] })]
    const transports = [undefined, ...process.env.IS_DEAD === 'true' ? [] : others]
    const clients = transports.map(transport =>
      new RealtimeClient({ url: process.env.URL, token: () => process.env.TOKEN, ...transport && { transport } }))
    for (const client of clients) {
      await client.connect()
      const subscription = client.topic('order.placed').subscribe(() => {})
      await subscription.ready
    }
    console.log('ready')
    process.stdin.once('data', () => {
      for (const client of clients) client.disconnect()
      process.stdin.destroy()
    })`
  for (const isDead of [false, true]) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: root,
      env: { ...process.env, URL: network.url, TOKEN: shop.token(), IS_DEAD: String(isDead) },
      stdio: ['pipe', 'pipe', 'inherit']
    })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    network.stall(isDead)
    child.stdin.write('end\n')
    t.same(await ended, [0, null], isDead ? 'over a dead network' : 'over a live one')
    network.stall(false)
  }
})
