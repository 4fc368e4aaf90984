import type { Listening } from '../../cluster/bus.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { EventLog, LogHead, TopicLog } from '../../events/log.ts'
import { createGatherer } from '../../foundation/batching/batch-loader.ts'
import { scopeKey, type Scope } from '../../../schemas/scope.ts'

/** Topics of a scope that are remembered as told; beyond it they are forgotten, and told once more. */
const toldMax = 100_000
/**
 * How long, or how many ids of other logs, a transaction may take from drawing a log's id to its commit, for the poll
 * to find the log at once.
 */
const lookBackMs = 60_000
const lookBackIds = 100_000
/** Every so many polls all logs of the scopes are looked at: the net under that. */
const fullEvery = 60

/** Somebody who wants to hear of topics that come into being. */
export interface PatternWatcher {
  readonly id: string
  readonly topic: string
  /** Whether its pattern takes in the topic. */
  matches (topic: string): boolean
  /** Whether the topic is part of it by now. */
  has (topic: string): boolean
  /** Whether it listens to the topic, or would. */
  wants (topic: string): boolean
  /**
   * There may be a topic that it does not know. Events above `head` are still to be routed; the log reaches to `known`
   * at least. Told again when in doubt.
   */
  discovered (topic: string, log: LogHead, known: number): void
}

interface Watch {
  scope: Scope
  watchers: Set<PatternWatcher>
  /** To the beginnings of logs on other nodes. */
  following: Listening | undefined
  /** Topics that all watchers know of: those of the first list, which is part of everybody's, and those told since. */
  told: Set<string>
  isSeeded: boolean
  /** Answers of `wants`, as long as the watchers that they are from are there. */
  wanted: Map<string, boolean>
}

/** A scope's logs at one moment. */
export class ScopeLogs {
  readonly #all: readonly TopicLog[]
  readonly #byPattern = new Map<string, TopicLog[]>()

  constructor (all: readonly TopicLog[]) {
    this.#all = all
  }

  get all () { return this.#all }

  /** Those that a pattern matches: found once for all who ask. */
  matching (pattern: string, matches: (topic: string) => boolean): readonly TopicLog[] {
    let found = this.#byPattern.get(pattern)
    if (found === undefined) {
      found = this.#all.filter(({ topic }) => matches(topic))
      this.#byPattern.set(pattern, found)
    }
    return found
  }
}

/**
 * Who on this node listens by pattern, scope by scope. A watcher is told of every topic whose log is made after it was
 * added: by the first event that this node hears of, or else by the poll. Scopes without patterns cost one look-up.
 */
export class PatternWatches {
  readonly #log: EventLog
  readonly #follow: (scope: Scope) => Listening | undefined
  readonly #onChanged: (scope: Scope) => void
  readonly #watches = new Map<string, Watch>()
  readonly #list: (scope: Scope) => Promise<ScopeLogs>
  /** The highest ids that polls have seen, with their times: oldest first. */
  #seen: { at: number, id: number }[] = []
  #polls = 0

  /**
   * `follow` begins to hear of new topics of other nodes; without it they come with the poll. `onChanged` is told when
   * what a scope's patterns want has changed.
   */
  constructor (
    { log, follow = () => undefined, onChanged = () => {} }: {
      log: EventLog
      follow?: (scope: Scope) => Listening | undefined
      onChanged?: (scope: Scope) => void
    }
  ) {
    this.#log = log
    this.#follow = follow
    this.#onChanged = onChanged
    this.#list = createGatherer<Scope, ScopeLogs>({
      nameOf: scopeKey,
      load: scopes => Promise.all(scopes.map(async scope => new ScopeLogs(await log.topics(scope))))
    })
  }

  get isEmpty () { return this.#watches.size === 0 }

  /** Every log of the scope: read after the call, so that with the watching begun before it nothing falls between. */
  async list (scope: Scope): Promise<ScopeLogs> {
    const logs = await this.#list(scope)
    const watch = this.#watches.get(scopeKey(scope))
    if (watch !== undefined && !watch.isSeeded) {
      watch.isSeeded = true
      for (const { topic } of logs.all) if (watch.told.size < toldMax) watch.told.add(topic)
    }
    return logs
  }

  add (scope: Scope, watcher: PatternWatcher): void {
    const key = scopeKey(scope)
    let watch = this.#watches.get(key)
    if (watch === undefined) {
      watch = {
        scope, watchers: new Set(), following: this.#follow(scope), told: new Set(), isSeeded: false, wanted: new Map()
      }
      this.#watches.set(key, watch)
    }
    watch.watchers.add(watcher)
    // What the others want stays as it is: to ask all of them for each that comes or goes would be quadratic.
    for (const [topic, isWanted] of watch.wanted) if (!isWanted && watcher.wants(topic)) watch.wanted.set(topic, true)
    this.#onChanged(scope)
  }

  remove (scope: Scope, watcher: PatternWatcher): void {
    const key = scopeKey(scope)
    const watch = this.#watches.get(key)
    if (watch === undefined) return
    watch.watchers.delete(watcher)
    // By its pattern alone: its principal may be another one by now.
    for (const [topic, isWanted] of watch.wanted) if (isWanted && watcher.matches(topic)) watch.wanted.delete(topic)
    if (watch.watchers.size === 0) {
      watch.following?.end()
      this.#watches.delete(key)
    }
    this.#onChanged(scope)
  }

  /** Everybody who watches the scope. */
  watching (scope: Scope): PatternWatcher[] {
    return [...this.#watches.get(scopeKey(scope))?.watchers ?? []]
  }

  /** What a watcher wants has changed. */
  changed (scope: Scope): void {
    this.#watches.get(scopeKey(scope))?.wanted.clear()
    this.#onChanged(scope)
  }

  /** Whether a pattern of the scope would take in the topic. */
  wants (scope: Scope, topic: string): boolean {
    const watch = this.#watches.get(scopeKey(scope))
    if (watch === undefined) return false
    let isWanted = watch.wanted.get(topic)
    if (isWanted === undefined) {
      isWanted = someWants(watch, topic)
      if (watch.wanted.size >= toldMax) watch.wanted.clear()
      watch.wanted.set(topic, isWanted)
    }
    return isWanted
  }

  /** An event is about to be routed: whoever does not know its topic hears of it first. */
  announce ({ scope, topic, epoch, offset }: LoggedEvent): void {
    const watch = this.#watches.get(scopeKey(scope))
    if (watch !== undefined && !watch.told.has(topic)) tell(watch, topic, { epoch, head: offset - 1 }, offset)
  }

  /** Looks for topics that another node has written first, in one statement. */
  async poll (): Promise<void> {
    if (this.isEmpty) {
      this.#seen = []
      return
    }
    const logs = await this.#log.made([...this.#watches.values()].map(({ scope }) => scope), this.#from())
    for (const { scope, topic, epoch, head, id } of logs) {
      this.#saw(id)
      const watch = this.#watches.get(scopeKey(scope))
      if (watch !== undefined && !watch.told.has(topic)) tell(watch, topic, { epoch, head }, head)
    }
  }

  /** The id that the next poll looks above: what had been seen a while ago, or everything. */
  #from (): number {
    if (this.#polls++ % fullEvery === 0) return 0
    const before = Date.now() - lookBackMs
    while ((this.#seen[1]?.at ?? Infinity) < before) this.#seen.shift()
    const [oldest] = this.#seen
    if (oldest === undefined) return 0
    return oldest.at < before ? oldest.id : Math.max(0, oldest.id - lookBackIds)
  }

  #saw (id: number): void {
    const last = this.#seen.at(-1)
    if (last === undefined || id > last.id) this.#seen.push({ at: Date.now(), id })
  }
}

function someWants ({ watchers }: Watch, topic: string): boolean {
  for (const watcher of watchers) if (watcher.wants(topic)) return true
  return false
}

function tell (watch: Watch, topic: string, log: LogHead, known: number): void {
  if (watch.told.size >= toldMax) watch.told.clear()
  watch.told.add(topic)
  for (const watcher of [...watch.watchers]) watcher.discovered(topic, log, known)
}
