import { setTimeout as sleep } from 'node:timers/promises'
import type { Peers } from './peers.ts'

/** Characters of one part of a copy. A node with a hundred thousand members sends its records in many parts. */
const partLengthMax = 256 * 1024
/** How long the remaining parts of a copy are kept for the node that requested the first. */
const copyKeptMs = 30_000
/** Pause before a failed copy is requested again. */
const retryMs = 250

/**
 * Handles changes of other nodes' records. `note` is the one that was passed with `set`; undefined if a copy revealed
 * the change.
 */
export interface RecordsObserver {
  changed (node: string, key: string, value: string, note: string | undefined): void
  removed (node: string, key: string): void
  /** Called when a node is gone for good, with all records that it had. */
  left (node: string, records: ReadonlyMap<string, string>, silentMs: number): void
  /** Called when this node has shared its records again under a new name, because others had declared it gone. */
  renamed (): void
}

type Change = [key: string, value: string | null, note?: string]

/** The known records of another node. */
interface Known {
  /** Number of the last change in `records`; undefined until a copy has arrived. */
  seq: number | undefined
  records: Map<string, string>
  /** Changes that arrived while a copy was being fetched. */
  held: { first: number, changes: Change[] }[]
  isCopying: boolean
}

interface Copy { seq: number, parts: string[], madeAt: number }

/**
 * Records that every node has of every other. Each record belongs to one node, and only that node changes it. Changes
 * are numbered and sent to all nodes. A node that misses a number, or has just joined, requests a copy. So a node's
 * records are known exactly, as of a moment no older than its last heartbeat, whatever the bus has lost. They are
 * removed when the node is gone.
 */
export class SharedRecords {
  readonly #peers: Peers
  readonly #own = new Map<string, string>()
  readonly #known = new Map<string, Known>()
  readonly #copies = new Map<string, Copy>()
  readonly #observers: { prefix: string, observer: Partial<RecordsObserver> }[] = []
  /** Number of nodes in `#known` without a `seq`. */
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
      renamed: () => this.#renamed()
    })
  }

  /** Observes the records whose keys begin with `prefix`. */
  observe (prefix: string, observer: Partial<RecordsObserver>): void {
    this.#observers.push({ prefix, observer })
  }

  /** Nodes whose records are not known yet, because they have just been found. */
  get incomplete (): string[] {
    // Checked for every channel message, and almost always 0.
    if (this.#incomplete === 0) return []
    return [...this.#known].filter(([, { seq }]) => seq === undefined).map(([node]) => node)
  }

  /** Resolves when the records of all nodes are known, or after the timeout. */
  async complete (timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (this.#incomplete > 0 && performance.now() < deadline) await sleep(5)
  }

  set (key: string, value: string, note?: string): void {
    this.#own.set(key, value)
    this.#change(note === undefined ? [key, value] : [key, value, note])
  }

  delete (key: string): void {
    if (this.#own.delete(key)) this.#change([key, null])
  }

  /** Resolves when all other nodes have applied every change so far, or have not answered in time. */
  async spread (): Promise<void> {
    if (this.#peers.count === 0) return
    // One question for all calls of a turn.
    this.#spreading ??= new Promise(resolve => setImmediate(resolve)).then(async () => {
      this.#spreading = undefined
      this.flush()
      await this.#peers.ask(this.#peers.nodes, 'sync', '')
    })
    await this.#spreading
  }

  /** Sends the pending changes now instead of at the end of the turn. */
  flush (): void {
    const changes = this.#changes
    if (changes.length === 0) return
    this.#changes = []
    const first = this.#seq + 1
    this.#seq += changes.length
    // Nodes that join later start with a copy.
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

  /** Returns the heartbeat body. A node that has another number of changes or records has missed some. */
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
      if (value === null) this.#remove(from, known, key)
      else this.#put(from, known, key, value, note)
    }
  }

  #put (from: string, known: Known, key: string, value: string, note?: string): void {
    known.records.set(key, value)
    for (const { prefix, observer } of this.#observers) {
      if (key.startsWith(prefix)) observer.changed?.(from, key, value, note)
    }
  }

  #remove (from: string, known: Known, key: string): void {
    if (!known.records.delete(key)) return
    for (const { prefix, observer } of this.#observers) {
      if (key.startsWith(prefix)) observer.removed?.(from, key)
    }
  }

  /** Returns a part of a copy. Part 0 makes the copy; the other parts are of the same one. */
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

  /** Requests a copy until it has arrived or the node is gone. */
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

  /** Returns undefined if a part did not arrive. */
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

  /** Adopts a copy and the changes held meanwhile. Returns false if a change between them is missing. */
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

  /** Handles this node's new name. The other nodes see it as a new node and request a copy of its records. */
  #renamed (): void {
    this.#changes = []
    for (const { observer } of this.#observers) observer.renamed?.()
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
