import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { ClusterSettings } from '../config.ts'
import { randomId } from '../foundation/ids.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Bus, Listening } from './bus.ts'

/** Nodes that are gone for good and remembered as such: whoever still sends under such a name is told. */
const goneMax = 1000
/** A bus that has given no sign of life for so long is not there: silence says nothing about anybody. */
const busSilentMs = 2500
const everybody = 'nodes'

export interface PeersOptions {
  bus: Bus
  settings: ClusterSettings
  metrics: Metrics
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/** Answers a request of another node; what it does not answer at once must not wait for the asking node. */
export type Handler = (from: string, body: string) => string | undefined | Promise<string | undefined>

/** Told of other nodes. */
export interface PeersObserver {
  /** A node that was not known. */
  found? (node: string): void
  /**
   * It is gone for good, with all that was its own: by itself, or silent for longer than the lease. Its name does not
   * come back.
   */
  gone? (node: string, silentMs: number): void
  /** This node was taken for gone by another, and goes on under a new name: whatever it shares has to be told anew. */
  renamed? (): void
}

export interface Answers {
  /** By node. */
  answers: Map<string, string>
  /** Nodes that did not answer in time. */
  missing: number
}

interface Peer {
  /**
   * How long it had been silent, while the bus was there, at the last tick or when it was heard, whichever is later.
   */
  silentMs: number
  heardAt: number
}

interface Question {
  answers: Map<string, string>
  waiting: Set<string>
  done: () => void
}

/**
 * The other nodes: who they are, and what is said to them and asked of them. A node gives a sign of life each
 * `heartbeatMs`, and is gone when it has given none for `leaseMs`, counted by steady clocks and only while the bus is
 * there: a Redis that is away, or a node that was stopped, makes nobody else be gone. Of one node, everything that
 * arrives comes in the order in which it was sent.
 */
export class Peers {
  readonly #options: PeersOptions
  #id = randomId('node')
  readonly #peers = new Map<string, Peer>()
  readonly #gone = new LRUCache<string, true>({ max: goneMax })
  readonly #handlers = new Map<string, Handler>()
  readonly #observers: PeersObserver[] = []
  readonly #questions = new Map<number, Question>()
  /** What a sign of life says beside that. */
  #beatBody: () => string = () => ''
  #lastQuestion = 0
  #listenings: Listening[] = []
  #timer: NodeJS.Timeout | undefined
  #tickedAt = performance.now()
  #isClosed = false

  constructor (options: PeersOptions) {
    this.#options = options
    options.bus.onRestored(() => this.#greet())
  }

  /** Of this node; another one after it was taken for gone. */
  get id () { return this.#id }

  /** The others. */
  get nodes (): string[] { return [...this.#peers.keys()] }

  get count () { return this.#peers.size }

  has (node: string): boolean { return this.#peers.has(node) }

  get isConnected () { return this.#options.bus.health().isConnected }

  observe (observer: PeersObserver): void {
    this.#observers.push(observer)
  }

  /** Takes what other nodes say or ask under that name. */
  on (kind: string, handler: Handler): void {
    this.#handlers.set(kind, handler)
  }

  onBeat (body: () => string, handler: (from: string, body: string) => void): void {
    this.#beatBody = body
    this.on('beat', (from, text) => { handler(from, text); return undefined })
  }

  /**
   * Resolves when all who are there are known, or after `answerMs`: Redis may be away, and a node may be dead without
   * anybody's having noticed.
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

  /** To one node. What is said to nobody that is known is lost. */
  tell (node: string, kind: string, body: string): void {
    this.#send(inboxOf(node), kind, 0, body)
  }

  /** To all others. */
  tellAll (kind: string, body: string): void {
    this.#send(everybody, kind, 0, body)
  }

  /**
   * Asks some nodes, each by itself. Never rejects; those that are gone or silent are missing after `answerMs` at the
   * latest.
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

  /** Says goodbye: the others need not wait for this node's silence. From then on it says and hears nothing. */
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
    this.#listenings = [everybody, inboxOf(this.#id)].map(channel => this.#options.bus.listen(channel, receive))
    return Promise.all(this.#listenings.map(({ live }) => live))
  }

  /** Who is there answers with a sign of life of its own. */
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
      // Of a tick that is late no more counts than of one in time: this node has slept, not the others.
      peer.silentMs += Math.min(now - Math.max(tickedAt, peer.heardAt), heartbeatMs * 1.5)
      if (peer.silentMs > leaseMs) this.#lose(node, peer.silentMs)
    }
  }

  #send (channel: string, kind: string, question: number, body: string): void {
    if (!this.#isClosed) this.#options.bus.publish(channel, `${this.#id} ${kind} ${question}\n${body}`)
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

  /** Another node has buried this one, and it lives. */
  #rename (id: string): void {
    // Of several that say so, the first has been listened to.
    if (id !== this.#id) return
    this.#id = randomId('node')
    this.#options.log.warn({ node: id, now: this.#id }, 'cluster.was_taken_for_gone')
    void this.#listen().then(() => this.#greet())
    for (const observer of this.#observers) observer.renamed?.()
  }

  async #reply (from: string, question: number, handler: Handler | undefined, body: string): Promise<void> {
    try {
      // A node of another version may ask what is not known here: it goes on without.
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

const inboxOf = (node: string) => `node:${node}`
