import type { Listening } from '../../cluster/bus.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { EventLog, LogHead, TopicLog } from '../../events/log.ts'
import { createBatchLoader } from '../../foundation/batching/batch-loader.ts'
import { scopeKey, type Scope } from '../../../schemas/scope.ts'

/** Topics of a scope that are remembered as announced. When the limit is reached, all are announced again. */
const toldMax = 100_000
/**
 * The longest time, and the most ids of other logs, between the assignment of a log's id and its commit for which a
 * poll still finds the log at once.
 */
const lookBackMs = 60_000
const lookBackIds = 100_000
/** Every so many polls, all logs of the scopes are read, for logs that took longer. */
const fullEvery = 60

/** Receives the topics that come into being in a scope. A pattern subscription is one. */
export interface PatternWatcher {
  readonly id: string
  readonly topic: string
  /** Returns whether its pattern matches the topic. */
  matches (topic: string): boolean
  /** Returns whether the topic is already part of it. */
  has (topic: string): boolean
  /** Returns whether its pattern matches the topic and its principal covers it. */
  wants (topic: string): boolean
  /**
   * Reports a topic that may be new. Events above `head` are still to be routed; the log reaches at least to `known`.
   * May be called again for the same topic.
   */
  discovered (topic: string, log: LogHead, known: number): void
}

interface Watch {
  scope: Scope
  watchers: Set<PatternWatcher>
  /** Receives the first events of logs from other nodes. */
  following: Listening | undefined
  /** Topics announced to all watchers: those of the first list, and those announced since. */
  told: Set<string>
  isSeeded: boolean
  /** Cached results of `wants`, valid while the same watchers are there. */
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

  /** Returns the logs that a pattern matches. Cached by pattern. */
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
 * The pattern subscriptions of this node, by scope. Announces to each watcher every topic whose log is created after
 * the watcher was added: on its first event that reaches this node, or else by the poll. A scope without patterns costs
 * one look-up.
 */
export class PatternWatches {
  readonly #log: EventLog
  readonly #follow: (scope: Scope) => Listening | undefined
  readonly #onChanged: (scope: Scope) => void
  readonly #watches = new Map<string, Watch>()
  readonly #list: (scope: Scope) => Promise<ScopeLogs>
  /** The highest ids that polls have read, with the time of each, oldest first. */
  #seen: { at: number, id: number }[] = []
  #polls = 0

  /**
   * `follow` subscribes to new topics of other nodes; without it, the poll finds them. `onChanged` is called when the
   * topics that a scope's patterns include may have changed.
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
    this.#list = createBatchLoader<Scope, ScopeLogs>({
      nameOf: scopeKey,
      load: scopes => Promise.all(scopes.map(async scope => new ScopeLogs(await log.topics(scope))))
    })
  }

  get isEmpty () { return this.#watches.size === 0 }

  /** Lists every log of the scope. The read starts after the call, so a caller that is already watching misses none. */
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
    // Positive results stay, because re-evaluating all watchers for each new one would be quadratic.
    for (const [topic, isWanted] of watch.wanted) if (!isWanted && watcher.wants(topic)) watch.wanted.set(topic, true)
    this.#onChanged(scope)
  }

  remove (scope: Scope, watcher: PatternWatcher): void {
    const key = scopeKey(scope)
    const watch = this.#watches.get(key)
    if (watch === undefined) return
    watch.watchers.delete(watcher)
    // Tests the pattern alone, because the watcher's principal may have changed since.
    for (const [topic, isWanted] of watch.wanted) if (isWanted && watcher.matches(topic)) watch.wanted.delete(topic)
    if (watch.watchers.size === 0) {
      watch.following?.end()
      this.#watches.delete(key)
    }
    this.#onChanged(scope)
  }

  /** Returns all watchers of the scope. */
  watching (scope: Scope): PatternWatcher[] {
    return [...this.#watches.get(scopeKey(scope))?.watchers ?? []]
  }

  /** Called when a watcher's principal covers other topics than before. */
  changed (scope: Scope): void {
    this.#watches.get(scopeKey(scope))?.wanted.clear()
    this.#onChanged(scope)
  }

  /** Returns whether a pattern of the scope would include the topic. */
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

  /** Called before an event is routed. Announces the event's topic to the watchers if it is new. */
  announce ({ scope, topic, epoch, offset }: LoggedEvent): void {
    const watch = this.#watches.get(scopeKey(scope))
    if (watch !== undefined && !watch.told.has(topic)) tell(watch, topic, { epoch, head: offset - 1 }, offset)
  }

  /** Finds topics that another node wrote to first, with one statement. */
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

  /** Returns the id above which the next poll reads: one that was seen some time ago, or 0 for all logs. */
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
