import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { io } from 'socket.io-client'
import type t from 'tap'
import { WebSocket } from 'ws'
import { freePort } from '../../db/embedded/free-port.ts'
import { testKey, type Teardown } from '../build.ts'
import { call, dataFolder, launch, made, until, type ServerProcess } from './server.ts'

/*
 * Nodes as separate processes on one database and one Redis, with publishers and subscribers that survive their
 * failures.
 */

export interface NodeOptions {
  databaseUrl: string
  redisUrl: string
  variables?: Record<string, string>
  execArgv?: string[]
}

/** A node with an address that stays the same across restarts. */
export class NodeProcess {
  readonly url: string
  readonly #options: NodeOptions & { dataDir: string, port: number }
  #server: ServerProcess | undefined
  #isUp = false

  constructor (options: NodeOptions & { dataDir: string, port: number }) {
    this.#options = options
    this.url = `http://127.0.0.1:${options.port}`
  }

  get server (): ServerProcess {
    if (this.#server === undefined) throw new Error('it has not been started')
    return this.#server
  }

  async start (): Promise<void> {
    this.#isUp = false
    const { databaseUrl, redisUrl, dataDir, port, variables, execArgv } = this.#options
    this.#server = launch({
      dataDir,
      variables: {
        DATABASE_URL: databaseUrl,
        REDIS_URL: redisUrl,
        ENCRYPTION_KEY: testKey,
        LOG_LEVEL: 'warn',
        PORT: String(port),
        ...variables
      },
      ...(execArgv !== undefined && { execArgv })
    })
    await this.#server.ready()
    this.#isUp = true
  }

  /** Whether it responded to the last check. */
  get isUp () { return this.#isUp && this.server.isRunning }

  async kill (): Promise<void> {
    this.#isUp = false
    this.server.kill('SIGKILL')
    await this.server.exit
  }

  async end (): Promise<void> {
    if (this.#server?.isRunning !== true) return
    // A paused process handles no other signal.
    this.#server.kill('SIGCONT')
    this.#server.kill('SIGTERM')
    const timer = setTimeout(() => this.#server?.kill('SIGKILL'), 15_000)
    await this.#server.exit
    clearTimeout(timer)
  }
}

export async function startNodeProcesses (
  t: Teardown, count: number, options: NodeOptions
): Promise<[NodeProcess, NodeProcess, ...NodeProcess[]]> {
  const nodes = await Promise.all(
    Array.from({ length: count }, async () =>
      new NodeProcess({ ...options, dataDir: await dataFolder(t), port: await freePort() }))
  )
  t.teardown(async () => {
    await Promise.all(nodes.map(node => node.end()))
  })
  // The first node migrates.
  for (const node of nodes) await node.start()
  return nodes as [NodeProcess, NodeProcess, ...NodeProcess[]]
}

/** An application, with the credentials of its administrator. */
export interface Shop { token: string, topic: string }

/**
 * Publishes single events, and repeats each with its own idempotency key until it is acknowledged. Before each try it
 * picks a node again, so a try after a failure or a 503 may go to another node.
 */
export class Publisher {
  acknowledged = 0
  /** Tries that were refused with 503, and tries whose connection was lost. */
  refused = 0
  broken = 0
  readonly offsets: number[] = []
  /** Longest time from the first try to the acknowledgement. */
  slowestMs = 0
  readonly #shop: Shop
  readonly #pick: () => string
  readonly #name: string
  #keys = 0
  #isOver = false
  #running: Promise<unknown> = Promise.resolve()

  constructor (shop: Shop, pick: () => string, name = 'p') {
    this.#shop = shop
    this.#pick = pick
    this.#name = name
  }

  /**
   * Publishes from `atOnce` loops, with `pauseMs` between two events of one loop, until `most` are acknowledged or
   * `stop`. Uses that many event `keys` in turn.
   */
  start ({ atOnce = 8, most = Infinity, pauseMs = 0, keys = 0 } = {}): this {
    let next = 0
    this.#keys = keys
    this.#running = Promise.all(Array.from({ length: atOnce }, async () => {
      while (!this.#isOver && next < most) {
        await this.#publish(next++)
        if (pauseMs > 0) await sleep(pauseMs)
      }
    }))
    this.#running.catch(() => {})
    return this
  }

  async done (): Promise<void> {
    await this.#running
  }

  async stop (): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #publish (n: number): Promise<void> {
    const { token, topic } = this.#shop
    const begin = performance.now()
    // The same for each try: it is one request, whatever happens to its tries.
    const body = { payload: { n, at: Date.now() }, ...(this.#keys > 0 && { key: `k${n % this.#keys}` }) }
    for (;;) {
      const answer = await call('POST', `${this.#pick()}/api/topics/${topic}/events`, {
        token, body, headers: { 'idempotency-key': `${this.#name}-${n}` }, signal: AbortSignal.timeout(15_000)
      }).catch(() => undefined)
      if (answer?.status === 201) {
        this.acknowledged++
        this.offsets.push((answer.body as { offset: number }).offset)
        this.slowestMs = Math.max(this.slowestMs, performance.now() - begin)
        return
      }
      if (answer === undefined) this.broken++
      else if (answer.status === 503) this.refused++
      else throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
      await sleep(20)
    }
  }
}

/** Listens to a topic across connection losses, and checks that each offset arrives once, in order. */
export class Subscriber {
  /** The last offset received since the acknowledgement. */
  offset = -1
  events = 0
  connections = 0
  readonly faults: string[] = []
  /** Close codes and reasons of acknowledged connections that ended. */
  readonly closings: string[] = []
  /** From publication to arrival, of the latest event. */
  latencyMs = 0
  readonly #shop: Shop
  readonly #pick: () => string
  readonly #kind: 'ws' | 'socket.io'
  #epoch: string | undefined
  #isOver = false
  #end: () => void = () => {}

  constructor (shop: Shop, pick: () => string, kind: 'ws' | 'socket.io' = 'ws') {
    this.#shop = shop
    this.#pick = pick
    this.#kind = kind
  }

  /** Resolves with the first acknowledgement. */
  async start (): Promise<this> {
    void this.#run()
    await until(() => this.offset >= 0, 'the first acknowledgement', 60_000)
    return this
  }

  stop (): void {
    this.#isOver = true
    this.#end()
  }

  async #run (): Promise<void> {
    while (!this.#isOver) {
      this.connections++
      await (this.#kind === 'ws' ? this.#overWs() : this.#overSocketIo()).catch(() => {})
      if (!this.#isOver) await sleep(50 + Math.random() * 150)
    }
  }

  #request (): object {
    const { topic } = this.#shop
    return this.offset < 0 ? { topic } : { topic, after: this.offset, epoch: this.#epoch }
  }

  #acknowledged ({ offset, epoch, recovered }: { offset: number, epoch: string, recovered: boolean }): void {
    if (this.offset >= 0 && !recovered) this.faults.push(`not recovered after ${this.offset}`)
    this.offset = offset
    this.#epoch = epoch
  }

  #arrived (offset: number): void {
    if (offset !== this.offset + 1) this.faults.push(`${offset} after ${this.offset}`)
    this.offset = offset
    this.events++
  }

  async #overWs (): Promise<void> {
    const socket = new WebSocket(`${this.#pick().replace('http', 'ws')}/ws`, {
      headers: { authorization: `Bearer ${this.#shop.token}` },
      handshakeTimeout: 5000
    })
    let isLive = false
    this.#end = () => { socket.terminate() }
    socket.on('error', () => {})
    socket.on('open', () => { socket.send(JSON.stringify({ type: 'subscribe', ...this.#request() })) })
    socket.on('message', (data: Buffer) => {
      const text = data.toString()
      if (text.startsWith('{"type":"event"')) {
        // Parses only the needed fields, because millions of events arrive.
        this.latencyMs = Date.now() - numberAfter(text, '"at":')
        return this.#arrived(numberAfter(text, '"offset":'))
      }
      const frame = JSON.parse(text) as { type: string, offset: number, epoch: string, recovered: boolean }
      if (frame.type === 'subscribed') {
        isLive = true
        this.#acknowledged(frame)
      } else if (frame.type === 'resync' || frame.type === 'error') {
        socket.terminate()
      }
    })
    const [code, reason] = await once(socket, 'close') as [number, Buffer]
    if (isLive) this.closings.push(`${code} ${reason.toString()}`)
  }

  async #overSocketIo (): Promise<void> {
    const socket = io(this.#pick(), {
      auth: { token: this.#shop.token }, transports: ['websocket'], forceNew: true, reconnection: false, timeout: 5000
    })
    this.#end = () => {
      socket.disconnect()
    }
    let closing = ''
    let isLive = false
    socket.on('closing', ({ code, reason }: { code: number, reason: string }) => { closing = `${code} ${reason}` })
    socket.on('event', ({ offset, payload }: { offset: number, payload: { at: number } }) => {
      this.latencyMs = Date.now() - payload.at
      this.#arrived(offset)
    })
    socket.on('resync', () => { socket.disconnect() })
    socket.on('connect', () => {
      socket.emit(
        'subscribe',
        this.#request(),
        (answer: { ok: boolean, offset: number, epoch: string, recovered: boolean }) => {
          if (!answer.ok) return socket.disconnect()
          isLive = true
          this.#acknowledged(answer)
        }
      )
    })
    await new Promise<void>(resolve => {
      socket.on('disconnect', () => resolve())
      socket.on('connect_error', () => resolve())
    })
    socket.disconnect()
    if (isLive) this.closings.push(closing)
  }
}

const numberAfter = (text: string, field: string): number =>
  Number.parseInt(text.slice(text.indexOf(field) + field.length, text.indexOf(field) + field.length + 20))

/** Waits until all subscribers have reached the offset, each offset received once and in order. */
export async function arrived (
  t: Tap, subscribers: readonly Subscriber[], offset: number, timeoutMs = 60_000
): Promise<void> {
  const behind = () => subscribers.filter(subscriber => subscriber.offset < offset)
  await until(
    () => behind().length === 0,
    () => `${offset} at ${behind().length} subscribers, the first of which is at ${behind()[0]?.offset}`,
    timeoutMs
  )
  t.same(
    subscribers.flatMap(({ faults }) => faults).slice(0, 5),
    [],
    `each of ${subscribers.length} subscribers has every offset once, in order`
  )
  t.same(
    subscribers.filter(subscriber => subscriber.offset !== offset).map(subscriber => subscriber.offset), [],
    'and no event that was not acknowledged'
  )
}
type Tap = Pick<typeof t, 'same'>

/**
 * A minimal load balancer: each connection goes to the next node that accepts it. A sticky one sends all connections to
 * the same node while that accepts them.
 */
export async function startBalancer (
  t: Teardown, ports: readonly number[], { isSticky = false } = {}
): Promise<string> {
  let turn = 0
  const open = new Set<Socket>()
  const server = createServer(client => {
    open.add(client)
    client.on('error', () => {})
    client.once('close', () => open.delete(client))
    forward(client, ports.length)
  })
  function forward (client: Socket, triesLeft: number): void {
    if (triesLeft === 0) {
      client.destroy()
      return
    }
    const upstream = connect(ports[turn % ports.length] as number, '127.0.0.1')
    if (!isSticky) turn++
    const tryNext = () => {
      if (isSticky) turn++
      forward(client, triesLeft - 1)
    }
    upstream.once('error', tryNext)
    upstream.once('connect', () => {
      upstream.off('error', tryNext)
      upstream.on('error', () => {})
      client.pipe(upstream).pipe(client)
      client.once('close', () => upstream.destroy())
      upstream.once('close', () => client.destroy())
    })
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Creates a topic of the application through a node. */
export async function openShop (
  url: string, { sessionToken }: { sessionToken?: string } = {}
): Promise<Shop & { sessionToken: string, applicationId: string }> {
  const administrator = { name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple' }
  const session = sessionToken ??
    (await made<{ sessionToken: string }>(call('POST', `${url}/api/auth/setup`, { body: administrator }))).sessionToken
  const { id } = await made<{ id: string }>(
    call('POST', `${url}/api/applications`, { token: session, body: { name: 'Shop' } })
  )
  const { token } = await made<{ token: string }>(
    call('POST', `${url}/auth/token`, {
      token: session,
      body: { applicationId: id, permissions: ['admin'], expiresIn: 86_400 }
    })
  )
  await made(
    call('POST', `${url}/api/topics`, { token, body: { name: 'order.placed', description: 'A test', owner: 'tests' } })
  )
  return { token, topic: 'order.placed', sessionToken: session, applicationId: id }
}
