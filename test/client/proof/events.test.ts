import { RealtimeClient, type PublishReceipt } from '@realtime-platform/client'
import t, { type Test } from 'tap'
import { networkErrors, noChromium, servePages, startChromium, type Tab } from '../../support/chromium.ts'
import { startFaultyNetwork, type FaultyNetwork, type ProxyMode } from '../../support/faulty-network.ts'
import { createDatabase } from '../../support/database.ts'
import { startNodeProcesses, type NodeProcess } from '../../support/node-processes.ts'
import { Participant, type Report } from '../../support/participant.ts'
import { Random } from '../../support/random.ts'
import { startRedis } from '../../support/redis.ts'
import { call, made } from '../../support/rest.ts'
import { setUp } from '../../support/shop.ts'
import { elapse, eventually, until } from '../../support/waiting.ts'

/*
 * The promise of the client library: every handler gets every event once, in order, although networks are cut, servers
 * killed, tabs frozen and tokens expire. Each seed is a run with other faults. The long form: `npm run test:client`;
 * one seed: PROOF_SEED=7.
 */

const seeds = process.env['PROOF_SEED'] === undefined
  ? Array.from({ length: Number(process.env['PROOF_SEEDS'] ?? 10) }, (_, i) => i + 1)
  : [Number(process.env['PROOF_SEED'])]
const eventsCount = Number(process.env['PROOF_EVENTS'] ?? 300)
/** Runs that share the nodes, and their faults, at one time. */
const atOnce = 5
const stepsCount = Math.max(20, Math.round(eventsCount / 80))

t.setTimeout(0)

const redis = await startRedis(t)
const skip = redis === undefined && 'redis-server is not installed'
const topics = ['storm.a', 'storm.b', 'storm.c', 'storm.d', 'storm.e'] as const

const pageSource = `
  import { localStorageStore } from '@realtime-platform/client'
  import { Participant } from './participant.js'
  const read = key => JSON.parse(localStorage.getItem(key) ?? 'null') ?? undefined
  const write = (key, value) => localStorage.setItem(key, JSON.stringify(value))
  const kept = {
    store: localStorageStore(),
    load: name => read('ledger ' + name),
    save: (name, state) => write('ledger ' + name, state)
  }
  globalThis.begin = (options, joined) => {
    globalThis.participant = new Participant({ ...options, token: () => globalThis.fetchToken(), kept })
    globalThis.started = participant.start()
    for (const [name, topic] of joined) participant.join(name, topic)
  }
`

t.test('every handler gets every event once, in order, through all faults', { skip }, async t => {
  if (redis === undefined) return
  const pages = await servePages(t)
  const nodes = await startNodeProcesses(t, 2, {
    databaseUrl: await createDatabase(t),
    redisUrl: redis.url,
    variables: { CORS_ORIGINS: pages.origin, CONNECTIONS_PER_ADDRESS_MAX: '0', RATE_LIMIT_UNAUTHORIZED_MAX: '0' }
  })
  const { sessionToken } = await setUp(nodes[0].url)
  const openTab = noChromium === false ? await startChromium(t) : undefined
  const pageUrl = await pages.add({ source: pageSource })
  if (noChromium !== false) t.comment(noChromium)
  const servers = new ServerFaults(seeds[0] ?? 0, nodes)
  const waiting = [...seeds]
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const tab = await openTab?.(pageUrl, { expected: networkErrors })
      const storm = new Storm({ seed, nodes, sessionToken, tab, servers })
      await storm.run(t).catch((error: Error) => storm.faults.push(error.message))
      await storm.end()
      t.same(storm.faults, [], `seed ${seed}: every handler of every client`)
      if (storm.faults.length > 0 || seeds.length === 1) t.comment(storm.diary.join('\n'))
      t.comment(storm.summary)
    }
  }))
  await servers.settled()
  t.comment(`nodes were killed ${servers.kills} times, and stopped in order ${servers.stops} times`)
})

/** Kills and restarts nodes, one fault for each so many steps of all runs. No run waits for a node to come back. */
class ServerFaults {
  kills = 0
  stops = 0
  /** Called with each fault. */
  readonly listeners = new Set<(fault: string) => void>()
  readonly #random: Random
  readonly #nodes: readonly NodeProcess[]
  #steps = 0
  #turn = 0
  #running: Promise<void> | undefined

  constructor (seed: number, nodes: readonly NodeProcess[]) {
    this.#random = new Random(seed)
    this.#nodes = nodes
  }

  /** Called before each step of a run. */
  step (): void {
    if (++this.#steps % 60 !== 10 || this.#running !== undefined) return
    const faults = [() => this.#kill(this.#random.pick(this.#nodes)), () => this.#roll(), () => this.#killAll()]
    this.#running = faults[this.#turn++ % faults.length]?.().finally(() => { this.#running = undefined })
  }

  /** Resolves when all nodes are up. */
  async settled (): Promise<void> {
    await this.#running
  }

  #tell (fault: string): void {
    for (const listener of this.listeners) listener(fault)
  }

  async #kill (node: NodeProcess): Promise<void> {
    this.kills++
    this.#tell(`node ${this.#nodes.indexOf(node)} is killed`)
    await node.kill()
    await node.start()
    this.#tell(`node ${this.#nodes.indexOf(node)} is back`)
  }

  async #killAll (): Promise<void> {
    await Promise.all(this.#nodes.map(node => this.#kill(node)))
  }

  async #roll (): Promise<void> {
    for (const node of this.#nodes) {
      this.stops++
      this.#tell(`node ${this.#nodes.indexOf(node)} stops`)
      await node.end()
      await node.start()
      this.#tell(`node ${this.#nodes.indexOf(node)} is back`)
    }
  }
}

interface StormParts {
  seed: number
  nodes: readonly NodeProcess[]
  sessionToken: string
  tab: Tab | undefined
  servers: ServerFaults
}

/** One run: a publisher, clients in Node and in a page, and faults from a seed. */
class Storm {
  readonly diary: string[] = []
  readonly faults: string[] = []
  summary = ''
  readonly #seed: number
  readonly #random: Random
  readonly #nodes: readonly NodeProcess[]
  readonly #sessionToken: string
  readonly #tab: Tab | undefined
  readonly #servers: ServerFaults
  readonly #proxies: FaultyNetwork[] = []
  readonly #participants: Participant[] = []
  readonly #joined: [name: string, topic: string][] = []
  readonly #heads: Record<string, number> = {}
  #publisher: RealtimeClient | undefined
  #pageOptions = ''
  readonly #begin = performance.now()

  constructor ({ seed, nodes, sessionToken, tab, servers }: StormParts) {
    this.#servers = servers
    servers.listeners.add(this.#note)
    this.#seed = seed
    this.#random = new Random(seed)
    this.#nodes = nodes
    this.#sessionToken = sessionToken
    this.#tab = tab
  }

  async run (t: Test): Promise<void> {
    const { applicationId, token } = await eventually(() =>
      setUp(this.#node.url, this.#sessionToken).catch(() => undefined))
    for (const topic of topics) await this.#createTopic(topic, token)
    // Tokens end during the run, so the clients must refresh them. If that fails, the server closes the connection.
    const fetchToken = async () => {
      if (this.#random.chance(0.2)) throw new Error('no token this time')
      const body = { applicationId, permissions: ['admin'], subject: 'client', expiresIn: 4 + this.#random.below(5) }
      return (await made<{ token: string }>(call('POST', `${this.#node.url}/auth/token`, { token, body }))).token
    }
    const ports = this.#nodes.map(({ url }) => Number(new URL(url).port))
    const addProxy = async () => {
      const proxy = await startFaultyNetwork(t, ports)
      this.#proxies.push(proxy)
      return proxy
    }
    const options = async () => ({
      url: (await addProxy()).url, reconnectionDelay: 30, reconnectionDelayMax: 300, topics, pattern: 'storm.**',
      seed: this.#random.below(1e9)
    })
    for (let i = 0; i < 2; i++) {
      const participant = new Participant({ ...await options(), token: fetchToken })
      this.#participants.push(participant)
      await participant.start()
    }
    if (this.#tab !== undefined) {
      await this.#tab.page.exposeFunction('fetchToken', fetchToken)
      this.#pageOptions = JSON.stringify(await options())
      await this.#beginPage()
      await this.#tab.run('started')
    }
    const publisher = this.#publisher = new RealtimeClient({ ...await options(), token: fetchToken })
    publisher.on('error', () => {})

    const published: Promise<PublishReceipt>[] = []
    const publish = (topic: string, count: number) => {
      for (let i = 0; i < count; i++) {
        const n = this.#heads[topic] = (this.#heads[topic] ?? 0) + 1
        const receipt = publisher.topic(topic).publish({ n, even: n % 2 === 0 })
        receipt.catch((error: Error) => this.faults.push(`event ${n} of ${topic} was not published: ${error.message}`))
        published.push(receipt)
      }
    }
    for (let step = 0; step < stepsCount; step++) {
      for (let rest = Math.ceil(eventsCount / stepsCount); rest > 0;) {
        const count = Math.min(rest, 1 + this.#random.below(20))
        publish(this.#random.pick(Object.keys(this.#heads).concat(topics)), count)
        rest -= count
      }
      if (step % Math.ceil(stepsCount / 3) === Math.floor(stepsCount / 6)) {
        const name = `storm.born${step}`
        await this.#createTopic(name, token)
        publish(name, 3)
      }
      this.#servers.step()
      await this.#fault()
    }
    this.#heal()
    for (const { value: receipt } of (await Promise.allSettled(published)).filter(isFulfilled)) {
      if (receipt.count !== 1) this.faults.push(`the receipt of ${receipt.topic} has ${receipt.count} events`)
    }
    if (this.faults.length === 0) await this.#settle()
    this.summary = `seed ${this.#seed}: ${published.length} events, ${this.diary.length} faults in ${
      Math.round((performance.now() - this.#begin) / 100) / 10} s; errors: ${
      JSON.stringify(this.#participants.map(({ errors }) => errors))}`
  }

  async end (): Promise<void> {
    this.#servers.listeners.delete(this.#note)
    this.#publisher?.disconnect()
    for (const participant of this.#participants) participant.stop()
    await this.#tab?.page.close()
  }

  /** Does one thing to one of the clients, or to a server. */
  async #fault (): Promise<void> {
    const random = this.#random
    const proxy = random.pick(this.#proxies)
    const name = `client ${this.#proxies.indexOf(proxy)}`
    const during = async (mode: ProxyMode, msMax: number) => {
      const ms = random.below(msMax)
      this.#note(`${name} is ${mode} for ${ms} ms`)
      proxy.mode = mode
      if (mode === 'refusing') proxy.cut()
      await elapse(ms)
      if (random.chance(0.5)) proxy.cut()
      proxy.mode = 'open'
    }
    await elapse(random.below(60))
    const faults: (() => Promise<void>)[] = [
      async () => {
        this.#note(`${name} is cut`)
        proxy.cut()
      },
      () => during('stalled', 300),
      () => during('mute', 200),
      () => during('refusing', 400),
      async () => {
        this.#note('the others swap a subscription')
        for (const participant of this.#participants) participant.swap()
      },
      () => this.#join()
    ]
    const tab = this.#tab
    if (tab !== undefined) {
      faults.push(
        async () => {
          this.#note('the page reloads')
          await tab.page.reload()
          await this.#beginPage()
        },
        async () => {
          const ms = random.below(300)
          this.#note(`the page is frozen for ${ms} ms`)
          await tab.setFrozen(true)
          await elapse(ms)
          if (random.chance(0.3)) this.#proxies[this.#participants.length]?.cut()
          await tab.setFrozen(false)
        },
        async () => {
          const ms = random.below(300)
          this.#note(`the page is offline for ${ms} ms`)
          await tab.setOffline(true)
          if (random.chance(0.5)) this.#proxies[this.#participants.length]?.cut()
          await elapse(ms)
          await tab.setOffline(false)
        },
        async () => {
          this.#note('the page swaps a subscription')
          await tab.run('participant.swap()')
        }
      )
    }
    await random.pick(faults)()
  }

  async #join (): Promise<void> {
    const topic = this.#random.pick(topics)
    const name = `late ${this.#joined.length} at ${topic}`
    if (this.#joined.length === 5) return
    this.#note(name)
    this.#joined.push([name, topic])
    for (const participant of this.#participants) participant.join(name, topic)
    await this.#tab?.run(`participant.join('${name}', '${topic}')`)
  }

  #heal (): void {
    for (const proxy of this.#proxies) proxy.mode = 'open'
    this.#note('healed')
  }

  /** Waits until each handler is at the head of its topics, and collects what they found. */
  async #settle (): Promise<void> {
    let behind: string[] = []
    // Other runs may kill all nodes meanwhile, and a busy machine starts them slowly.
    await until(async () => {
      const reports = await this.#reports()
      behind = reports.flatMap(({ of, report }) => this.#behind(of, report))
      return behind.length === 0 || reports.some(({ report }) => faultsOf(report).length > 0)
    }, () => `these handlers: ${behind.join(', ')}`, 180_000).catch(async (error: Error) => {
      this.faults.push(error.message)
      for (const { lines } of this.#participants) this.diary.push(...lines)
      this.diary.push(...await this.#tab?.run<string[]>('participant.lines') ?? [])
    })
    for (const { of, report } of await this.#reports()) {
      this.faults.push(...faultsOf(report).map(fault => `${of}: ${fault}`))
    }
  }

  async #reports (): Promise<{ of: string, report: Report }[]> {
    const reports = this.#participants.map((participant, i) => ({ of: `client ${i}`, report: participant.report() }))
    if (this.#tab === undefined) return reports
    return [...reports, { of: 'the page', report: await this.#tab.run<Report>('participant.report()') }]
  }

  #behind (of: string, report: Report): string[] {
    return Object.entries(report).flatMap(([name, { topic, every, places }]) =>
      Object.entries(this.#heads).filter(([other]) => topic.includes('*') || topic === other)
        .filter(([other, head]) => (places[other]?.offset ?? 0) < Math.floor(head / every) * every)
        .map(([other, head]) => `${of}, ${name}, at ${places[other]?.offset} of ${head} of ${other}`))
  }

  async #beginPage (): Promise<void> {
    await this.#tab?.run(`begin(${this.#pageOptions}, ${JSON.stringify(this.#joined)})`)
  }

  /** A node that is up. */
  get #node (): NodeProcess {
    return this.#nodes.find(({ isUp }) => isUp) ?? this.#nodes[0] as NodeProcess
  }

  async #createTopic (name: string, token: string): Promise<void> {
    await until(async () => {
      const { status } = await call('POST', `${this.#node.url}/api/topics`, {
        token, body: { name, description: 'A test', owner: 'tests' }
      }).catch(() => ({ status: 0 }))
      return status === 201 || status === 409
    }, `topic ${name}`)
  }

  readonly #note = (event: string): void => {
    this.diary.push(`${Math.round(performance.now() - this.#begin)} ms: ${event}`)
  }
}

const isFulfilled = <T>(result: PromiseSettledResult<T>): result is PromiseFulfilledResult<T> =>
  result.status === 'fulfilled'

const faultsOf = (report: Report): string[] => Object.entries(report).flatMap(([name, { faults, gaps }]) => [
  ...faults.map(fault => `${name}: ${fault}`),
  ...gaps.map(gap => `${name}: a gap where no event is missing: ${JSON.stringify(gap)}`)
])
