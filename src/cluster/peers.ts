import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { ClusterSettings } from '../config/cluster-settings.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Bus, Listening } from './bus.ts'
import type { Node } from './node.ts'

/** Nodes that are remembered as gone for good. A node that still sends under such a name is notified. */
const goneMax = 1000
/** A bus that has been silent for this long counts as unavailable. Other nodes' silence then means nothing. */
const busSilentMs = 2500
const everybody = 'nodes'

export interface PeersOptions {
  node: Node
  bus: Bus
  settings: ClusterSettings
  metrics: Metrics
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/** Handles a message or a question from another node. An answer must not wait for the asking node. */
export type Handler = (from: string, body: string) => string | undefined | Promise<string | undefined>

/** Observes other nodes. */
export interface PeersObserver {
  /** Called for a new node. */
  found? (node: string): void
  /**
   * Called when a node is gone for good, with everything it shared: it has left, or was silent for longer than its
   * lease. Its name does not return.
   */
  gone? (node: string, silentMs: number): void
  /**
   * Called when another node declared this one gone. It continues under a new name and must share its records again.
   */
  renamed? (): void
}

export interface Answers {
  /** Answers by node. */
  answers: Map<string, string>
  /** Number of nodes that did not answer in time. */
  missing: number
}

interface Peer {
  /** Milliseconds of silence while the bus was available, up to the last tick or message, whichever is later. */
  silentMs: number
  heardAt: number
}

interface Question {
  answers: Map<string, string>
  waiting: Set<string>
  done: () => void
}

/**
 * Tracks the other nodes and exchanges messages with them. A node sends a heartbeat each `heartbeatMs`. It is gone when
 * it has been silent for `leaseMs`, counted by monotonic clocks and only while the bus is available: no node is
 * declared gone because Redis is unavailable or this node was suspended. Messages of one node arrive in the order in
 * which it sent them.
 */
export class Peers {
  readonly #options: PeersOptions
  #id: string
  /** How often this node has changed its name. */
  #renames = 0
  readonly #peers = new Map<string, Peer>()
  readonly #gone = new LRUCache<string, true>({ max: goneMax })
  readonly #handlers = new Map<string, Handler>()
  readonly #observers: PeersObserver[] = []
  readonly #questions = new Map<number, Question>()
  /** Returns the body of this node's heartbeat. */
  #beatBody: () => string = () => ''
  #lastQuestion = 0
  #listenings: Listening[] = []
  #timer: NodeJS.Timeout | undefined
  #tickedAt = performance.now()
  #isClosed = false

  constructor (options: PeersOptions) {
    this.#options = options
    this.#id = options.node.id
    options.bus.onRestored(() => this.#greet())
  }

  /** Name of this node: its id, with a number once another node has declared this one gone. */
  get id () { return this.#id }

  /** Names of the other nodes. */
  get nodes (): string[] { return [...this.#peers.keys()] }

  get count () { return this.#peers.size }

  has (node: string): boolean { return this.#peers.has(node) }

  get isConnected () { return this.#options.bus.health().isConnected }

  observe (observer: PeersObserver): void {
    this.#observers.push(observer)
  }

  /** Handles messages and questions of one kind from other nodes. */
  on (kind: string, handler: Handler): void {
    this.#handlers.set(kind, handler)
  }

  onBeat (body: () => string, handler: (from: string, body: string) => void): void {
    this.#beatBody = body
    this.on('beat', (from, text) => { handler(from, text); return undefined })
  }

  /**
   * Resolves when all other nodes are known, or after `answerMs`, because Redis may be unavailable and a dead node may
   * still be counted.
   */
  async start (): Promise<void> {
    const { bus, settings: { heartbeatMs, answerMs } } = this.#options
    this.#tickedAt = performance.now()
    this.#timer = setInterval(() => this.#tick(), heartbeatMs).unref()
    const deadline = performance.now() + answerMs
    const others = this.#listen().then(async () => {
      this.#greet()
      return await bus.reach(everybody) - 1
    }).catch(() => 0)
    let expected = Infinity
    void others.then(count => { expected = count })
    while (this.#peers.size < expected && performance.now() < deadline && !this.#isClosed) await sleep(5)
  }

  /** Sends a message to one node. The message is lost if the node is unknown. */
  tell (node: string, kind: string, body: string): void {
    this.#send(inboxOf(node), kind, 0, body)
  }

  /** Sends a message to all other nodes. */
  tellAll (kind: string, body: string): void {
    this.#send(everybody, kind, 0, body)
  }

  /**
   * Sends a question to some nodes, one message each. Never rejects. Nodes that are gone or silent count as missing
   * after at most `answerMs`.
   */
  async ask (nodes: Iterable<string>, kind: string, body: string): Promise<Answers> {
    const asked = new Set([...nodes].filter(node => this.#peers.has(node)))
    if (asked.size === 0) return { answers: new Map(), missing: 0 }
    if (!this.isConnected || this.#isClosed) return { answers: new Map(), missing: asked.size }
    const id = ++this.#lastQuestion
    const question: Question = { answers: new Map(), waiting: asked, done: () => {} }
    const answered = new Promise<void>(resolve => { question.done = resolve })
    this.#questions.set(id, question)
    for (const node of asked) this.#send(inboxOf(node), kind, id, body)
    const timer = setTimeout(question.done, this.#options.settings.answerMs)
    await answered
    clearTimeout(timer)
    this.#questions.delete(id)
    return { answers: question.answers, missing: question.waiting.size }
  }

  /** Leaves the cluster, so that the others need not wait for the lease. Sends and receives nothing afterwards. */
  leave (): void {
    if (this.#isClosed) return
    this.tellAll('bye', '')
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const listening of this.#listenings) listening.end()
    for (const question of this.#questions.values()) question.done()
  }

  #listen (): Promise<unknown> {
    for (const listening of this.#listenings) listening.end()
    const receive = (message: string) => this.#receive(message)
    const { bus } = this.#options
    this.#listenings = [everybody, inboxOf(this.#id)].map(channel => bus.listen(channel, receive))
    // Where the bus learns of the end of a process, the others need not wait for the lease.
    bus.setWill(everybody, messageOf(this.#id, 'bye', 0, ''))
    return Promise.all(this.#listenings.map(({ live }) => live))
  }

  /** Introduces this node. The others reply with a heartbeat. */
  #greet (): void {
    for (const node of this.#peers.keys()) this.#hear(node)
    this.tellAll('hello', '')
    this.#beat()
  }

  #beat (): void {
    this.tellAll('beat', this.#beatBody())
  }

  #tick (): void {
    const { bus, settings: { heartbeatMs, leaseMs } } = this.#options
    const now = performance.now()
    const tickedAt = this.#tickedAt
    this.#tickedAt = now
    this.#beat()
    const { isConnected, heartbeatAgeMs } = bus.health()
    if (!isConnected || heartbeatAgeMs > busSilentMs) return
    for (const [node, peer] of this.#peers) {
      // A late tick counts no more than a timely one: this node was suspended, not the others.
      peer.silentMs += Math.min(now - Math.max(tickedAt, peer.heardAt), heartbeatMs * 1.5)
      if (peer.silentMs > leaseMs) this.#lose(node, peer.silentMs)
    }
  }

  #send (channel: string, kind: string, question: number, body: string): void {
    if (!this.#isClosed) this.#options.bus.publish(channel, messageOf(this.#id, kind, question, body))
  }

  #receive (message: string): void {
    if (this.#isClosed) return
    const end = message.indexOf('\n')
    const [from = '', kind = '', question = ''] = message.slice(0, end).split(' ')
    const body = message.slice(end + 1)
    if (kind === 'gone') return this.#rename(body)
    if (from === this.#id) return
    if (this.#gone.has(from)) return this.tell(from, 'gone', from)
    if (kind === 'bye') return this.#lose(from, 0)
    this.#hear(from)
    if (kind === 'hello') return this.tell(from, 'beat', this.#beatBody())
    if (kind === 'answer') return this.#answered(Number(question), from, body)
    const handler = this.#handlers.get(kind)
    if (Number(question) > 0) void this.#reply(from, Number(question), handler, body)
    else if (handler !== undefined) this.#run(() => handler(from, body))
  }

  #hear (node: string): void {
    const peer = this.#peers.get(node)
    const heardAt = performance.now()
    if (peer !== undefined) {
      Object.assign(peer, { silentMs: 0, heardAt })
      return
    }
    this.#peers.set(node, { silentMs: 0, heardAt })
    this.#options.log.info({ node, nodes: this.#peers.size + 1 }, 'cluster.node_found')
    this.#count()
    for (const observer of this.#observers) observer.found?.(node)
  }

  #lose (node: string, silentMs: number): void {
    this.#gone.set(node, true)
    if (!this.#peers.delete(node)) return
    this.#options.log.info(
      { node, silentMs: Math.round(silentMs), nodes: this.#peers.size + 1 },
      silentMs > 0 ? 'cluster.node_lost' : 'cluster.node_left'
    )
    this.#count()
    for (const question of this.#questions.values()) this.#isDone(question)
    for (const observer of this.#observers) observer.gone?.(node, silentMs)
  }

  /** Handles another node's notice that it declared this one gone. */
  #rename (id: string): void {
    // Several nodes may send the notice. Only the first still has the current name.
    if (id !== this.#id) return
    this.#id = `${this.#options.node.id}.${++this.#renames}`
    this.#options.log.warn({ node: id, now: this.#id }, 'cluster.was_taken_for_gone')
    void this.#listen().then(() => this.#greet())
    for (const observer of this.#observers) observer.renamed?.()
  }

  async #reply (from: string, question: number, handler: Handler | undefined, body: string): Promise<void> {
    try {
      // A node of another version may send an unknown question. It continues without an answer.
      const answer = await handler?.(from, body)
      if (answer !== undefined) this.#send(inboxOf(from), 'answer', question, answer)
    } catch (err) {
      this.#options.log.warn({ err }, 'cluster.question_failed')
    }
  }

  #run (work: () => unknown): void {
    try {
      work()
    } catch (err) {
      this.#options.log.warn({ err }, 'cluster.message_unreadable')
    }
  }

  #answered (id: number, from: string, body: string): void {
    const question = this.#questions.get(id)
    if (question?.waiting.delete(from) !== true) return
    question.answers.set(from, body)
    this.#isDone(question)
  }

  #isDone (question: Question): void {
    if ([...question.waiting].every(node => !this.#peers.has(node))) question.done()
  }

  #count (): void {
    this.#options.metrics.clusterNodes.set(this.#peers.size + 1)
  }
}

const messageOf = (from: string, kind: string, question: number, body: string) =>
  `${from} ${kind} ${question}\n${body}`
const inboxOf = (node: string) => `node:${node}`
