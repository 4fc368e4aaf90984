import { setTimeout as sleep } from 'node:timers/promises'
import type { Peers } from './peers.ts'

/** Characters of one part of a copy: a node with a hundred thousand members sends its records in many. */
const partLengthMax = 256 * 1024
/** How long the rest of a copy is kept for the node that has asked for its beginning. */
const copyKeptMs = 30_000
/** How soon a copy that did not come is asked for again. */
const retryMs = 250

/**
 * What is to be done about other nodes' records. `note`: what the change was accompanied by; there is none where a copy
 * showed it.
 */
export interface RecordsObserver {
  changed (node: string, key: string, value: string, note: string | undefined): void
  removed (node: string, key: string, value: string, note: string | undefined): void
  /** All that it had, once it is gone for good. */
  left (node: string, records: ReadonlyMap<string, string>, silentMs: number): void
  /** All that is this node's own has been told anew, because others had taken it for gone. */
  toldAnew (): void
}

type Change = [key: string, value: string | null, note?: string]

/** What a node is known to have. */
interface Known {
  /** Of the last change that is in `records`; undefined until a copy has come. */
  seq: number | undefined
  records: Map<string, string>
  /** Changes that came while a copy was on its way. */
  held: { first: number, changes: Change[] }[]
  isCopying: boolean
}

interface Copy { seq: number, parts: string[], madeAt: number }

/**
 * Records that every node has of every other: each is its node's own, and only that node changes it. Changes are
 * numbered and go to all; who finds a number missing, or has just come, asks for a copy. So a node's records are known
 * exactly, as of some moment that is no older than the last sign of life, whatever the bus has lost; and they go when
 * the node does.
 */
export class SharedRecords {
  readonly #peers: Peers
  readonly #own = new Map<string, string>()
  readonly #known = new Map<string, Known>()
  readonly #copies = new Map<string, Copy>()
  readonly #observers: { prefix: string, observer: Partial<RecordsObserver> }[] = []
  /** How many of `#known` have no `seq`. */
  #incomplete = 0
  #spreading: Promise<void> | undefined
  #seq = 0
  #changes: Change[] = []

  constructor (peers: Peers) {
    this.#peers = peers
    peers.onBeat(() => this.#standing(), (from, body) => this.#compare(from, body))
    peers.on('records', (from, body) => { this.#receive(from, body); return undefined })
    peers.on('copy', (from, body) => this.#copyPart(from, Number(body)))
    peers.on('sync', () => '')
    peers.observe({
      found: node => this.#found(node),
      gone: (node, silentMs) => this.#left(node, silentMs),
      renamed: () => this.#toldAnew()
    })
  }

  /** Of records whose keys begin with `prefix`. */
  observe (prefix: string, observer: Partial<RecordsObserver>): void {
    this.#observers.push({ prefix, observer })
  }

  /** Nodes whose records are not known as they are: those that have just been found. */
  get incomplete (): string[] {
    // The usual case, asked for with every message to a channel.
    if (this.#incomplete === 0) return []
    return [...this.#known].filter(([, { seq }]) => seq === undefined).map(([node]) => node)
  }

  /** Resolves when everybody's records are known, or after a while. */
  async complete (timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (this.#incomplete > 0 && performance.now() < deadline) await sleep(5)
  }

  set (key: string, value: string, note?: string): void {
    this.#own.set(key, value)
    this.#change(note === undefined ? [key, value] : [key, value, note])
  }

  delete (key: string, note?: string): void {
    if (this.#own.delete(key)) this.#change(note === undefined ? [key, null] : [key, null, note])
  }

  /** Resolves when all others know of every change so far, or do not answer. */
  async spread (): Promise<void> {
    if (this.#peers.count === 0) return
    // One question for all that is asked in a turn.
    this.#spreading ??= new Promise(resolve => setImmediate(resolve)).then(async () => {
      this.#spreading = undefined
      this.flush()
      await this.#peers.ask(this.#peers.nodes, 'sync', '')
    })
    await this.#spreading
  }

  /** Sends what has changed; otherwise it goes at the end of the turn, all of it together. */
  flush (): void {
    const changes = this.#changes
    if (changes.length === 0) return
    this.#changes = []
    const first = this.#seq + 1
    this.#seq += changes.length
    // Who comes later begins with a copy.
    if (this.#peers.count > 0) this.#peers.tellAll('records', JSON.stringify([first, changes]))
  }

  #found (node: string): void {
    this.#known.set(node, { seq: undefined, records: new Map(), held: [], isCopying: false })
    this.#incomplete++
    void this.#copyFrom(node)
  }

  #change (change: Change): void {
    this.#changes.push(change)
    if (this.#changes.length === 1) setImmediate(() => this.flush())
    else if (this.#changes.length >= 500) this.flush()
  }

  /** Part of every sign of life: whoever has not as much has missed something. */
  #standing (): string {
    this.flush()
    return `${this.#seq} ${this.#own.size}`
  }

  #compare (from: string, body: string): void {
    const known = this.#known.get(from)
    const [seq, size] = body.split(' ').map(Number)
    if (known === undefined || (known.seq === seq && known.records.size === size)) return
    void this.#copyFrom(from)
  }

  #receive (from: string, body: string): void {
    const known = this.#known.get(from)
    if (known === undefined) return
    const [first, changes] = JSON.parse(body) as [number, Change[]]
    if (known.isCopying) {
      known.held.push({ first, changes })
    } else if (known.seq === undefined || first > known.seq + 1) {
      void this.#copyFrom(from)
    } else {
      this.#apply(from, known, known.seq, first, changes)
    }
  }

  #apply (from: string, known: Known, seq: number, first: number, changes: readonly Change[]): void {
    for (const [i, [key, value, note]] of changes.entries()) {
      if (first + i <= seq) continue
      known.seq = first + i
      if (value === null) this.#remove(from, known, key, note)
      else this.#put(from, known, key, value, note)
    }
  }

  #put (from: string, known: Known, key: string, value: string, note?: string): void {
    known.records.set(key, value)
    for (const { prefix, observer } of this.#observers) { if (key.startsWith(prefix)) observer.changed?.(from, key, value, note) }
  }

  #remove (from: string, known: Known, key: string, note?: string): void {
    const value = known.records.get(key)
    if (value === undefined) return
    known.records.delete(key)
    for (const { prefix, observer } of this.#observers) { if (key.startsWith(prefix)) observer.removed?.(from, key, value, note) }
  }

  /** Part 0 makes the copy; the others are of the same one. */
  #copyPart (from: string, part: number): string | undefined {
    const now = performance.now()
    for (const [node, { madeAt }] of this.#copies) if (now - madeAt > copyKeptMs) this.#copies.delete(node)
    if (part === 0) {
      this.flush()
      this.#copies.set(from, { seq: this.#seq, parts: partsOf(this.#own), madeAt: now })
    }
    const copy = this.#copies.get(from)
    const text = copy?.parts[part]
    if (copy === undefined || text === undefined) return undefined
    if (part === copy.parts.length - 1) this.#copies.delete(from)
    return `${copy.seq} ${copy.parts.length}\n${text}`
  }

  /** Asks until it has come, or the node is gone. */
  async #copyFrom (node: string): Promise<void> {
    const known = this.#known.get(node)
    if (known === undefined || known.isCopying) return
    known.isCopying = true
    while (this.#known.get(node) === known) {
      const copy = await this.#fetch(node)
      if (this.#known.get(node) !== known) return
      if (copy !== undefined && this.#adopt(node, known, copy)) break
      known.held = []
      await new Promise(resolve => setTimeout(resolve, retryMs).unref())
    }
    known.isCopying = false
  }

  /** Undefined when something of it did not come. */
  async #fetch (node: string): Promise<{ seq: number, records: Map<string, string> } | undefined> {
    const records = new Map<string, string>()
    for (let part = 0; ; part++) {
      const answer = (await this.#peers.ask([node], 'copy', String(part))).answers.get(node)
      if (answer === undefined) return undefined
      const end = answer.indexOf('\n')
      const [seq = NaN, parts = NaN] = answer.slice(0, end).split(' ').map(Number)
      for (const [key, value] of JSON.parse(answer.slice(end + 1)) as [string, string][]) records.set(key, value)
      if (part >= parts - 1) return { seq, records }
    }
  }

  /** Answers whether what came meanwhile joins it without a hole. */
  #adopt (node: string, known: Known, { seq, records }: { seq: number, records: Map<string, string> }): boolean {
    if (known.seq === undefined) this.#incomplete--
    known.seq = seq
    for (const key of [...known.records.keys()]) if (!records.has(key)) this.#remove(node, known, key)
    for (const [key, value] of records) if (known.records.get(key) !== value) this.#put(node, known, key, value)
    const { held } = known
    known.held = []
    for (const { first, changes } of held) {
      if (first > known.seq + 1) return false
      this.#apply(node, known, known.seq, first, changes)
    }
    return true
  }

  #left (node: string, silentMs: number): void {
    const known = this.#known.get(node)
    this.#known.delete(node)
    this.#copies.delete(node)
    if (known === undefined) return
    if (known.seq === undefined) this.#incomplete--
    for (const { prefix, observer } of this.#observers) {
      observer.left?.(node, new Map([...known.records].filter(([key]) => key.startsWith(prefix))), silentMs)
    }
  }

  /** Under its new name, this node's records are others: everybody asks for a copy of them. */
  #toldAnew (): void {
    this.#changes = []
    for (const { observer } of this.#observers) observer.toldAnew?.()
  }
}

function partsOf (records: ReadonlyMap<string, string>): string[] {
  const parts: string[] = []
  let part: [string, string][] = []
  let length = 0
  for (const [key, value] of records) {
    part.push([key, value])
    length += key.length + value.length
    if (length < partLengthMax) continue
    parts.push(JSON.stringify(part))
    part = []
    length = 0
  }
  if (part.length > 0 || parts.length === 0) parts.push(JSON.stringify(part))
  return parts
}
