import { RealtimeClient, type ConnectionState, type RealtimeEvent } from '@realtime-platform/client'
import { execFile } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { createApiKey } from '../support/api-keys.ts'
import { build, listen } from '../support/build.ts'
import { libraryClient, libraryTransports } from '../support/library-clients.ts'
import { startNetwork, type Network } from '../support/network.ts'
import { person } from '../support/people.ts'
import { root } from '../support/repository.ts'
import type { Teardown } from '../support/teardown.ts'
import { tenant } from '../support/tenant.ts'
import { elapse, eventually, until } from '../support/waiting.ts'

const { app, databaseUrl } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')

/** The events of a browser's window, for clients that are created after this. */
const browserWindow = new EventTarget()
Object.assign(globalThis, {
  addEventListener: browserWindow.addEventListener.bind(browserWindow),
  removeEventListener: browserWindow.removeEventListener.bind(browserWindow)
})
const dispatch = (name: string) => browserWindow.dispatchEvent(new Event(name))

/**
 * Cuts connections until the client has noticed. Between two requests of long polling, there is none to cut. The next
 * connection of a client that has noticed stays.
 */
const lose = (network: Network, isNoticed: () => boolean) => until(() => {
  if (isNoticed()) return true
  network.cut()
  return false
}, 'the loss to be noticed')

for (const { name, options } of libraryTransports) {
  t.test(`over ${name}`, async t => {
    t.test('the client connects, reconnects after a cut, and resumes', async t => {
      const network = await startNetwork(t, url)
      const { client, states } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
      const events: unknown[] = []
      const subscription = client.topic('order.placed').subscribe(event => events.push(event.payload))
      t.equal(client.state, 'disconnected')
      await client.connect()
      await subscription.ready
      const { socketId } = client
      t.type(socketId, 'string')
      network.mode = 'refuse'
      await lose(network, () => client.state === 'reconnecting')
      await shop.publish('order.placed', `${name} 1`, `${name} 2`)
      network.mode = 'pass'
      await client.connect()
      await until(() => events.length === 2, 'the events')
      t.same(events, [`${name} 1`, `${name} 2`])
      t.not(client.socketId, socketId)
      t.same(states().filter((state, i, all) => state !== all[i - 1]), [
        'connecting', 'connected', 'reconnecting', 'connected'
      ])
      client.disconnect()
      t.equal(states().at(-1), 'disconnected')
    })

    t.test('a refused credential ends the client with a typed error', async t => {
      const { client, errors, changes } = libraryClient(t, { url, token: 'no token', ...options() })
      await t.rejects(client.connect(), { name: 'RealtimeError', code: 'CREDENTIAL_INVALID' })
      t.match(changes, [{ state: 'connecting' }, { state: 'disconnected', code: 4401 }])
      t.match(errors, [{ code: 'CREDENTIAL_INVALID' }])
    })

    t.test('a refused token of a function is fetched once more, and then the client ends', async t => {
      const tokens = ['no token', shop.token(), 'no token', 'no token', shop.token()]
      let fetched = 0
      const { client } = libraryClient(t, { url, token: () => tokens[fetched++] ?? '', ...options() })
      await client.connect()
      t.equal(fetched, 2)
      client.disconnect()
      await client.setToken(() => tokens[fetched++] ?? '')
      await t.rejects(client.connect(), { code: 'CREDENTIAL_INVALID' })
      t.equal(fetched, 4)
    })

    t.test('an expired token ends the client with its close code', async t => {
      // A token of n seconds lasts at least n - 1, and must be valid on arrival.
      const token = shop.token(undefined, { expiresInS: 5 })
      const { client, errors } = libraryClient(t, { url, token, ...options() })
      await client.connect()
      await until(() => client.state === 'disconnected', 'the token to expire')
      t.match(errors, [{ code: 'CREDENTIAL_EXPIRED' }])
      t.match(client.connectionState.getSnapshot(), { state: 'disconnected', code: 4402 })
      await t.rejects(client.connect(), { code: 'CREDENTIAL_INVALID' })
    })

    t.test('a revoked credential and a deleted application end the client', async t => {
      const other = await tenant(app)
      const admin = await person(app, 'super_admin')
      const key = await createApiKey(admin, other.applicationId)
      const byKey = libraryClient(t, { url, token: key.key, ...options() })
      const byToken = libraryClient(t, { url, token: () => other.token(), ...options() })
      await Promise.all([byKey.client.connect(), byToken.client.connect()])
      await admin.request('DELETE', `/api/api-keys/${key.id}`, undefined, {
        headers: { 'x-application-id': other.applicationId }
      })
      await until(() => byKey.client.state === 'disconnected', 'the key to end')
      t.match(byKey.changes.at(-1), { code: 4403, error: { code: 'CREDENTIAL_REVOKED' } })
      await admin.remove(`/api/applications/${other.applicationId}?force=true`)
      await until(() => byToken.client.state === 'disconnected', 'the application to end')
      t.match(byToken.changes.at(-1), { code: 4410, error: { code: 'APPLICATION_DELETED' } })
    })

    t.test('the session of a login connects to the application that is named', async t => {
      const { token } = await person(app, 'super_admin')
      const { client } = libraryClient(t, {
        url, token, applicationId: shop.applicationId, environment: 'staging', ...options()
      })
      await client.connect()
      t.equal(client.state, 'connected')
    })

    t.test('a server behind a path is reached', async t => {
      const network = await startNetwork(t, url, { prefix: '/realtime' })
      for (const path of ['/realtime', '/realtime/']) {
        const { client } = libraryClient(t, {
          url: `${network.url}${path}`.replace('http', 'ws'), token: () => shop.token(), ...options()
        })
        await client.connect()
        await client.topic('order.placed').history({ pageSize: 1 }).next()
        client.disconnect()
      }
    })

    t.test('a listener may disconnect and connect at any moment', async t => {
      const network = await startNetwork(t, url)
      const { client } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
      let off = client.on('connection', ({ state }) => { if (state === 'connecting') client.disconnect() })
      await t.rejects(client.connect(), { code: 'DISCONNECTED' })
      off()
      off = client.on('connection', ({ state }) => { if (state === 'connected') client.disconnect() })
      await t.rejects(client.connect(), { code: 'DISCONNECTED' })
      off()
      await client.connect()
      let again: Promise<void> | undefined
      off = client.on('connection', ({ state }) => {
        if (state !== 'reconnecting') return
        client.disconnect()
        off()
        again = client.connect()
      })
      await lose(network, () => again !== undefined)
      await again
      const mine = () => [...app.connections.all()].filter(({ id }) => id === client.socketId).length
      t.equal(mine(), 1)
      client.disconnect()
      client.connect().catch(() => {})
      client.disconnect()
      await elapse(200)
      t.equal(client.state, 'disconnected')
      await until(() => mine() === 0, 'the socket to end at the server')
    })

    t.test('a server that restarts is reached again', async t => {
      const first = await build(t, { databaseUrl })
      const network = await startNetwork(t, await listen(first.app))
      const { client, changes } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
      await client.connect()
      const second = await build(t, { databaseUrl })
      network.target = new URL(await listen(second.app))
      await first.app.close()
      const lost = await eventually(() => changes.find(({ state }) => state === 'reconnecting'))
      t.match(lost, { code: 1012, error: { code: 'SHUTTING_DOWN' } })
      await until(() => client.state === 'connected', 'the other server')
    })

    t.test('a page of a proxy is an error, and the client tries again', async t => {
      const network = await startNetwork(t, url)
      const { client, changes } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
      network.mode = 'page'
      const connected = client.connect()
      await until(() => changes.length > 2, 'an attempt to fail')
      t.match(changes[1], { state: 'connecting', error: { code: 'NETWORK', message: /cannot be reached/ } })
      network.mode = 'pass'
      await connected
    })

    t.test('when the network is back, the client does not wait for the next attempt', async t => {
      const network = await startNetwork(t, url)
      const { client } = libraryClient(t, {
        url: network.url, token: () => shop.token(), reconnectionDelay: 1e9, reconnectionDelayMax: 1e9, ...options()
      })
      await client.connect()
      await lose(network, () => client.state === 'reconnecting')
      dispatch('online')
      await until(() => client.state === 'connected', 'the connection')
    })

    t.test('a connection that died while the page was frozen is found when the page resumes', async t => {
      const network = await startNetwork(t, url)
      const { client } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
      await client.connect()
      const { socketId } = client
      dispatch('visibilitychange')
      await elapse(5000)
      t.equal(client.socketId, socketId, 'a live one stays')
      network.stall(true)
      dispatch('resume')
      await until(() => client.state === 'reconnecting', 'the dead link to be found')
      network.stall(false)
      await until(() => client.state === 'connected', 'the connection')
    })
  })
}

t.test('the client abandons an attempt without an answer', async t => {
  const network = await startNetwork(t, url)
  network.mode = 'swallow'
  await Promise.all(libraryTransports.map(async ({ options, name }) => {
    const { client, changes } = libraryClient(t, { url: network.url, token: () => shop.token(), ...options() })
    // Before the next attempt, which would take as long.
    client.on('connection', ({ error }) => { if (error !== undefined) network.mode = 'pass' })
    await client.connect()
    t.match(changes[1], { state: 'connecting', error: { code: /TIMEOUT|NETWORK/ } }, name)
  }))
})

/** A WebSocket server on which something other than the platform runs. */
async function foreignServer (t: Teardown, onConnection: (socket: WebSocket) => void): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', onConnection)
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a frame that is not of the protocol is an error, and the client tries again', async t => {
  for (const frame of ['<html>', '[]', '{"hello":"world"}', Buffer.from([1, 2, 3])]) {
    let connections = 0
    const url = await foreignServer(t, socket => { connections++; socket.send(frame) })
    const { client, changes } = libraryClient(t, { url, token: 'any' })
    client.connect().catch(() => {})
    await until(() => connections > 1, 'another attempt')
    t.match(changes[1], { state: 'connecting', error: { code: 'ANSWER_INVALID' } }, String(frame))
    client.disconnect()
  }
})

t.test('a server that accepts and closes at once is not hammered', async t => {
  let connections = 0
  const url = await foreignServer(t, socket => {
    connections++
    socket.on('message', () => {
      socket.send(JSON.stringify({ type: 'authenticated', socketId: 'conn_1', expiresAt: null }))
      socket.close(1012, 'SHUTTING_DOWN')
    })
  })
  const { client } = libraryClient(t, { url, token: 'any', reconnectionDelay: 100, reconnectionDelayMax: 10_000 })
  client.connect().catch(() => {})
  await elapse(3000)
  // With the average wait of the first attempt, it would be 60.
  t.ok(connections > 1 && connections < 30, `${connections} connections`)
})

t.test('a refusal that says when to retry is obeyed, also when the network changes meanwhile', async t => {
  const narrow = await build(t, {
    databaseUrl, adapt: ({ delivery }) => { delivery.connectionsPerApplicationMax = 1 }
  })
  const network = await startNetwork(t, await listen(narrow.app))
  const first = libraryClient(t, { url: network.url, token: () => shop.token() })
  await first.client.connect()
  const second = libraryClient(t, { url: network.url, token: () => shop.token() })
  const connected = second.client.connect()
  await until(() => second.changes.length > 1, 'the refusal')
  t.match(second.changes[1], {
    state: 'connecting', code: 4429, error: { code: 'CONNECTION_LIMIT', retryAfterMs: 5000 }
  })
  first.client.disconnect()
  const { connections } = network
  dispatch('online')
  await elapse(1000)
  t.equal(network.connections, connections)
  await connected
})

t.test('without reconnection, a lost connection ends the client', async t => {
  const network = await startNetwork(t, url)
  const { client, errors } = libraryClient(t, { url: network.url, token: () => shop.token(), reconnection: false })
  await client.connect()
  network.cut()
  await until(() => client.state === 'disconnected', 'the end')
  t.match(errors, [{ code: 'CONNECTION_LOST' }])
  network.mode = 'refuse'
  await t.rejects(client.connect())
  network.mode = 'pass'
  await client.connect()
})

t.test('the client ends after the given number of attempts in a row', async t => {
  const network = await startNetwork(t, url)
  network.mode = 'refuse'
  const { client, states } = libraryClient(t, { url: network.url, token: () => shop.token(), reconnectionAttempts: 2 })
  await t.rejects(client.connect(), { code: 'NETWORK' })
  t.same(states(), ['connecting', 'connecting', 'connecting', 'disconnected'])
  t.equal(network.connections, 3)
})

t.test('an aborted signal ends the wait for the connection, and not the attempt', async t => {
  const network = await startNetwork(t, url)
  network.mode = 'refuse'
  const { client } = libraryClient(t, { url: network.url, token: () => shop.token() })
  const controller = new AbortController()
  const connected = client.connect({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(connected, { message: 'enough' })
  network.mode = 'pass'
  await client.connect()
})

t.test('the class that the option names opens the sockets', async t => {
  let opened = 0
  const { client } = libraryClient(t, {
    url, token: () => shop.token(), WebSocket: class extends WebSocket {
      constructor (address: string, protocols?: string) {
        super(address, protocols)
        opened++
      }
    }
  })
  await client.connect()
  t.equal(opened, 1)
})

t.test('the state is an observable that changes with each event', async t => {
  const { client, changes } = libraryClient(t, { url, token: () => shop.token() })
  const seen: ConnectionState[] = []
  const unsubscribe = client.connectionState.subscribe(() => seen.push(client.connectionState.getSnapshot().state))
  t.equal(client.connectionState.getSnapshot(), client.connectionState.getSnapshot())
  await client.connect()
  t.same(seen, ['connecting', 'connected'])
  t.equal(client.connectionState.getSnapshot(), changes.at(-1))
  unsubscribe()
  client.disconnect()
  t.equal(seen.length, 2)
})

t.test('a client that is disconnected leaves no listener behind', async t => {
  const listeners = () => getEventListeners(browserWindow, 'online').length
  t.equal(listeners(), 0, 'after the earlier tests')
  const { client } = libraryClient(t, { url, token: () => shop.token() })
  for (let i = 0; i < 2; i++) {
    await client.connect()
    t.equal(listeners(), 1)
    client.disconnect()
    t.equal(listeners(), 0)
  }
})

t.test('the documented names work', async t => {
  const client = new RealtimeClient({
    url, token: shop.token(), autoConnect: true, reconnection: true, reconnectionAttempts: 10, reconnectionDelay: 1000
  })
  t.teardown(() => client.disconnect())
  const all: RealtimeEvent[] = []
  const named: RealtimeEvent[] = []
  const others: RealtimeEvent[] = []
  client.on('event', event => all.push(event))
  client.on('event:order.placed', event => named.push(event))
  client.on('event:order.paid', event => others.push(event))
  const ids = [client.subscribe({ topic: 'order.placed' }), client.subscribe({ topic: 'order.*', filter: { n: 1 } })]
  await client.connect()
  await until(() => [...app.connections.all()].some(({ id, subscriptions }) =>
    id === client.socketId && subscriptions.length === 2), 'the subscriptions')
  await shop.publish('order.placed', { n: 1 })
  await until(() => named.length > 0, 'the event')
  t.same([all.length, named.length, others.length], [1, 1, 0], 'an event that matches twice is emitted once')
  for (const id of ids) client.unsubscribe(id)
})

t.test('a line of the debug tap can be pasted into the debugger', async t => {
  const lines: string[] = []
  const { client } = libraryClient(t, { url, token: () => shop.token(), debug: line => lines.push(line) })
  await client.connect()
  const subscription = client.topic('order.placed').subscribe(() => {})
  await subscription.ready
  await shop.publish('order.placed', { n: 1 })
  await until(() => lines.some(line => line.startsWith('event ')), 'the line')
  const body = lines.find(line => line.startsWith('event '))?.slice('event '.length)
  const answer = await shop.request('POST', '/api/debugger/explain', body)
  t.match(answer, { status: 200, body: { outcome: 'delivered' } })
  t.ok(lines.some(line => line.startsWith('connected ')))
})

t.test('where no WebSocket is found, the client says what to install', async t => {
  // A copy of the library without its neighbours, so that it finds no `ws`.
  const folder = await mkdtemp(join(tmpdir(), 'realtime-library-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  for (const part of ['package.json', 'dist']) {
    await cp(join(root, 'sdk', part), join(folder, part), { recursive: true })
  }
  const program = `
    delete globalThis.WebSocket
    const { RealtimeClient } = await import('./dist/index.js')
    const client = new RealtimeClient({ url: 'http://127.0.0.1:1', token: 'any' })
    client.on('error', () => {})
    await client.connect().catch(error => { console.log(error.code, error.message) })`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: folder
  })
  t.match(stdout, /^WEBSOCKET_MISSING .*npm install ws/)
})
