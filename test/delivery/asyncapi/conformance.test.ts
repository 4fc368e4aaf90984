import { once } from 'node:events'
import { io } from 'socket.io-client'
import { PacketType, type Packet } from 'socket.io-parser'
import t from 'tap'
import { WebSocket } from 'ws'
import { socketRequests, type RequestName } from '../../../schemas/socket-protocol.ts'
import { Channel, type Member } from '../../../src/channels/channel.ts'
import { closeCodes } from '../../../src/identity/auth/close-codes.ts'
import { build, listen } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'
import { document, faultOf, type ChannelKey } from '../../support/asyncapi-payloads.ts'

/*
 * A real server and the AsyncAPI document agree, over both transports: the server accepts every example, and each frame
 * that it sends matches the schema of a message that the document allows there.
 */

t.setTimeout(300_000)

type Fields = Record<string, unknown>
interface Answer extends Fields { isRefused: boolean }

const { app } = await build(t)
const url = await listen(app)

/** Checks what arrives, and records the messages that have been seen. */
class Checker {
  readonly seen = new Set<string>()
  readonly faults: string[] = []

  /** Checks the payload of a message that an operation allows. */
  check (allowed: readonly { $ref: string }[], payload: unknown, what: string): void {
    const faults = allowed.map(({ $ref }) => ({ $ref, fault: faultOf($ref, payload) }))
    const matching = faults.filter(({ fault }) => fault === undefined)
    if (matching.length === 0) this.faults.push(`${what}: ${faults.map(({ fault }) => fault).join('; ')}`)
    for (const { $ref } of matching) this.seen.add($ref)
  }

  reply (channel: ChannelKey, key: string, payload: unknown): void {
    this.check(document.operations[`${channel}.${key}`]?.reply?.messages ?? [], payload, `the reply to ${key}`)
  }

  unprompted (channel: ChannelKey, name: string, payload: unknown): void {
    const sent = Object.values(document.operations).filter(operation =>
      operation.action === 'send' && operation.channel.$ref === `#/channels/${channel}`
    )
    const allowed = sent.flatMap(({ messages }) => messages).filter(({ $ref }) =>
      document.channels[channel].messages[$ref.split('/').at(-1) ?? '']?.name === name
    )
    this.check(allowed, payload, `the message ${name}`)
  }
}
const checker = new Checker()

/** A client that checks everything that it receives. */
interface Peer {
  readonly channel: ChannelKey
  readonly id: string
  /** The messages that arrived without a request. */
  readonly messages: { name: string, body: Fields }[]
  ask (name: string, fields: object): Promise<Answer>
  /** Sends a request whose refusal cannot be assigned to it. */
  sendBad (): void
  readonly closed: Promise<Fields>
  close (): void
}

async function openSocketIo (auth: object): Promise<Peer> {
  const messages: Peer['messages'] = []
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false, timeout: 120_000 })
  socket.io.on('packet', ({ type, data }: Packet) => {
    if (type === PacketType.CONNECT || type === PacketType.CONNECT_ERROR) checker.reply('socketIo', 'connect', data)
  })
  socket.onAny((name: string, body: Fields) => {
    checker.unprompted('socketIo', name, body)
    messages.push({ name, body })
  })
  const closed = new Promise<Fields>(resolve => socket.on('disconnect', () => {
    resolve(messages.find(({ name }) => name === 'closing')?.body ?? {})
  }))
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
  return {
    channel: 'socketIo',
    id: socket.id ?? '',
    messages,
    closed,
    async ask (name, fields) {
      const answer = await socket.timeout(120_000).emitWithAck(name, fields) as Fields
      checker.reply('socketIo', `${name}Request`, answer)
      return { ...answer, isRefused: answer['ok'] === false }
    },
    sendBad: () => { socket.emit('leave', {}) },
    close: () => { socket.disconnect() }
  }
}

async function openWebSocket (auth: { token: string }, headers: Record<string, string> = {}): Promise<Peer> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers })
  const messages: Peer['messages'] = []
  const waiting = new Map<unknown, { key: string, resolve: (answer: Answer) => void }>()
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Fields & { type: string }
    const request = frame['id'] === undefined ? undefined : waiting.get(frame['id'])
    if (request === undefined) {
      checker.unprompted('webSocket', frame.type, frame)
      messages.push({ name: frame.type, body: frame })
      return
    }
    checker.reply('webSocket', request.key, frame)
    waiting.delete(frame['id'])
    request.resolve({ ...frame, isRefused: frame.type === 'error' })
  })
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }))
  await once(socket, 'open')
  const send = (key: string, frame: Fields) => new Promise<Answer>(resolve => {
    waiting.set(frame['id'], { key, resolve })
    socket.send(JSON.stringify(frame))
  })
  let lastId = 0
  let id = ''
  if (headers['authorization'] === undefined) {
    const answer = await send('authenticate', { type: 'auth', id: 'first', ...auth })
    if (answer.isRefused) throw Object.assign(new Error('refused'), { data: answer, closed: await closed })
    id = String(answer['socketId'])
  }
  return {
    channel: 'webSocket',
    id,
    messages,
    closed,
    ask: (name, fields) =>
      send(name === 'ping' ? name : `${name}Request`, { type: name, id: `request ${++lastId}`, ...fields }),
    sendBad: () => { socket.send('not JSON') },
    close: () => { socket.close() }
  }
}

/** Replaces the values that only this server can have made. */
const adapted = (example: unknown, live: Fields): Fields =>
  Object.fromEntries(Object.entries(example as Fields).map(([name, value]) => [name, live[name] ?? value]))

const channelOf = { 'Socket.IO': 'socketIo', '/ws': 'webSocket' } as const
/** In an order in which each one can succeed. */
const inOrder: RequestName[] = [
  'subscribe', 'append', 'join', 'presence', 'publish', 'direct', 'unsubscribe', 'leave', 'auth'
]

for (const [name, open] of [['Socket.IO', openSocketIo], ['/ws', openWebSocket]] as const) {
  const channel = channelOf[name]
  const { messages } = document.channels[channel]
  const arrived = (peer: Peer, count: number, message: string) =>
    until(() => peer.messages.filter(({ name }) => name === message).length >= count, `${count} × ${message}`)

  await t.test(`${name}: the server accepts every example of a request`, async t => {
    const shop = await tenant(app)
    await shop.topic('order.placed')
    const token = shop.token(['admin'], { subject: 'ada' })
    const [ada, bob] = [await open({ token }), await open({ token })]
    const subscriptions: unknown[] = []
    t.same([...inOrder].sort(), Object.keys(socketRequests).sort())
    for (const request of inOrder) {
      for (const { payload } of messages[`${request}Request`]?.examples ?? []) {
        const answer = await ada.ask(
          request, adapted(payload, { token, socketId: bob.id, subscriptionId: subscriptions[0] })
        )
        t.match(answer, { isRefused: false }, `${request} ${JSON.stringify(payload)}`)
        if (request === 'subscribe') subscriptions.push(answer['subscriptionId'])
      }
    }
    if (channel === 'webSocket') t.match(await ada.ask('ping', {}), { type: 'pong' })
    for (const { payload } of messages['connect']?.examples ?? messages['authenticate']?.examples ?? []) {
      const peer = await open({ ...adapted(payload, { token }), token })
      peer.close()
    }
    for (const peer of [ada, bob]) peer.close()
  })

  await t.test(`${name}: refusals`, async t => {
    const shop = await tenant(app)
    const peer = await open({ token: shop.token() })
    const bad: Record<RequestName, object[]> = {
      subscribe: [{ topic: 'order.unknown' }, { topic: 'NOT A TOPIC' }, { topic: 'a.b', more: 1 }, {
        topic: 'a.b', since: 1, after: 1
      }],
      append: [{ topic: 'order.unknown', payload: 1 }, { topic: 'socket.message', payload: 1 }, { topic: 'a.b' }],
      unsubscribe: [{ subscriptionId: 'sub_unknown' }, {}],
      auth: [{ token: 'unknown' }, { token: shop.token(['admin'], { subject: 'someone else' }) }],
      join: [{}, { channel: 'room', state: 'x'.repeat(5000) }],
      leave: [{ channel: 'room' }, { channel: '' }],
      presence: [{ channel: 'room', state: 1 }],
      publish: [{ channel: 'room', event: 'said' }],
      direct: [{ socketId: 'unknown', event: 'said', data: 1 }]
    }
    for (const [request, all] of Object.entries(bad)) {
      for (const fields of all) t.match(await peer.ask(request, fields), { isRefused: true }, request)
    }
    peer.sendBad()
    await arrived(peer, 1, 'error')
    const refused = await open({ token: 'unknown' }).catch((error: unknown) => error)
    t.match(refused, { data: { code: 'CREDENTIAL_INVALID' } })
    peer.close()
  })

  await t.test(`${name}: events, in every shape`, async () => {
    const shop = await tenant(app)
    await shop.topic('order.placed')
    const peer = await open({ token: shop.token() })
    await peer.ask('subscribe', { topic: 'order.placed' })
    await peer.ask('subscribe', { topic: 'order.*' })
    for (const returnMode of ['full', 'diff', 'both']) {
      await peer.ask('subscribe', { topic: 'sync.session.*', returnMode })
    }
    await peer.ask('subscribe', { topic: 'socket.*' })
    await peer.ask('subscribe', { topic: 'presence.updated' })
    await shop.publish('order.placed', { total: 42 }, null)
    await shop.request('POST', '/api/sync/session/documents', { id: 'doc_1', data: { status: 'new' } })
    await shop.request('PATCH', '/api/sync/session/documents/doc_1/merge', { data: { status: 'ended' } })
    await shop.request('DELETE', '/api/sync/session/documents/doc_1')
    await peer.ask('join', { channel: 'room' })
    await peer.ask('publish', { channel: 'room', event: 'said', data: 1 })
    // Two of order.placed, three changes in three shapes, one message and one change of presence.
    await arrived(peer, 13, 'event')
    peer.close()
  })

  await t.test(`${name}: messages, presence and memberships that end`, async t => {
    const shop = await tenant(app)
    const ada = await open({ token: shop.token(['admin'], { subject: 'ada' }) })
    const bobToken = shop.token(['admin'], { subject: 'bob' })
    const [bob, bobAgain] = [await open({ token: bobToken }), await open({ token: bobToken })]
    for (const peer of [ada, bob]) await peer.ask('join', { channel: 'room', state: { status: 'here' } })
    await bob.ask('presence', { channel: 'room', state: null })
    await bob.ask('publish', { channel: 'room', event: 'said', data: { text: 'hello' } })
    await bob.ask('direct', { socketId: ada.id, event: 'psst', data: [1] })
    await shop.request('POST', '/api/socket/broadcast', { channel: 'room', event: 'said', data: 1 })
    await arrived(ada, 3, 'message')
    await bobAgain.ask('join', { channel: 'room', previousSocketId: bob.id })
    await arrived(bob, 1, 'resync')
    await bobAgain.ask('leave', { channel: 'room' })
    await arrived(ada, 4, 'presence')
    const sender = await open({ token: shop.token(['publish']) })
    t.match(
      await sender.ask('publish', { channel: 'doc:session:doc_1', event: 'said', data: 1 }), { delivered: null }
    )
    for (const peer of [ada, bob, bobAgain, sender]) peer.close()
  })

  await t.test(`${name}: a fresh credential with fewer permissions`, async t => {
    const shop = await tenant(app)
    for (const topic of ['order.placed', 'order.paid']) await shop.publish(await shop.topic(topic), 1)
    const granting = (...permissions: string[]) => shop.token(permissions, { subject: 'ada' })
    const peer = await open({ token: granting('subscribe') })
    await peer.ask('subscribe', { topic: 'order.paid' })
    await peer.ask('subscribe', { topic: 'order.*' })
    await peer.ask('join', { channel: 'room' })
    t.match(await peer.ask('auth', { token: granting('subscribe:order.placed') }), { lost: [{ topic: 'order.paid' }] })
    await arrived(peer, 2, 'resync')
    peer.close()
  })

  await t.test(`${name}: every reason to close`, async t => {
    const shop = await tenant(app)
    const listed = document.channels[channel]['x-close-codes']
    for (const reason of Object.values(closeCodes)) {
      const peer = await open({ token: shop.token() })
      const [connection] = [...app.connections.all()].filter(({ id }) => id === peer.id)
      connection?.close(reason)
      const { code, reason: said } = await peer.closed
      t.match(listed.find(one => one.code === code), { code: reason.code, reason: said, reconnect: reason.reconnect })
    }
  })
}

await t.test('/ws: a credential in the headers of the upgrade', async t => {
  const shop = await tenant(app)
  const token = shop.token()
  const peer = await openWebSocket({ token }, { authorization: `Bearer ${token}` })
  await until(() => peer.messages.length > 0, 'the first frame')
  t.match(peer.messages, [{ name: 'authenticated' }])
  peer.close()
})

await t.test('a list of members that is too long is truncated', async t => {
  const channel = new Channel({ applicationId: 'app_a', environment: 'development' }, 'room "1"')
  for (let i = 0; i < 1001; i++) {
    const member: Member = {
      socketId: `conn_${i}`,
      userId: 'user-7',
      principalId: 'user-7',
      joinedAt: 1705312800000 + i,
      state: { value: { i }, text: `{"i":${i}}` },
      node: undefined,
      connection: undefined,
      absence: undefined
    }
    channel.add(member)
  }
  const answer = JSON.parse(`{"ok":true,${channel.joined.fields}}`) as Fields
  t.match(answer, { channel: 'room "1"', truncated: true, memberCount: 1001 })
  checker.reply('socketIo', 'joinRequest', answer)
})

await t.test('everything that arrived matches the document, and every message of it has arrived', async t => {
  t.same(checker.faults, [])
  const expected = Object.values(document.operations).flatMap(({ action, messages, reply }) => [
    ...(action === 'send' ? messages : []), ...reply?.messages ?? []
  ])
  t.same([...new Set(expected.map(({ $ref }) => $ref))].filter(message => !checker.seen.has(message)), [])
})
