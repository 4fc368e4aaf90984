import type { Cluster } from '../cluster/cluster.ts'
import type { Hub, InterestSharer } from '../delivery/hub.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Listeners } from '../delivery/listeners.ts'
import { ownTopics } from './socket-events.ts'

const prefix = 'listening\n'
const keyOf = (scope: Scope, topic: string) => `${prefix}${scopeKey(scope)}\n${topic}`

/**
 * Shares which nodes have subscriptions to socket events. Socket events without listeners are never written to the log,
 * on any node. A subscription is acknowledged once the other nodes have received this.
 */
export class ListeningNodes implements Listeners, InterestSharer {
  readonly #records: Cluster['records']
  readonly #hub: Hub
  /** Keys of this node. */
  readonly #own = new Set<string>()
  /** The other nodes, by key. */
  readonly #others = new Map<string, Set<string>>()
  /** Scopes whose listeners may have changed, by scope key. */
  readonly #changed = new Map<string, Scope>()
  /** Running announcements to the other nodes, by scope key. */
  readonly #spreading = new Map<string, Promise<unknown>>()

  constructor ({ records, hub }: { records: Cluster['records'], hub: Hub }) {
    this.#records = records
    this.#hub = hub
    records.observe(prefix, {
      changed: (node, key) => {
        const nodes = this.#others.get(key)
        if (nodes === undefined) this.#others.set(key, new Set([node]))
        else nodes.add(node)
      },
      removed: (node, key) => this.#forget(node, key),
      left: (node, left) => { for (const key of left.keys()) this.#forget(node, key) }
    })
  }

  hasListeners (scope: Scope, topic: string): boolean {
    return this.#others.size > 0 && this.#others.has(keyOf(scope, topic))
  }

  /** Compares once per turn, because an ending connection may have a thousand patterns. */
  changed (scope: Scope): void {
    if (this.#changed.size === 0) {
      setImmediate(() => {
        for (const scope of [...this.#changed.values()]) this.#compare(scope)
      })
    }
    this.#changed.set(scopeKey(scope), scope)
  }

  spread (scope: Scope): Promise<unknown> | undefined {
    const key = scopeKey(scope)
    if (this.#changed.has(key)) this.#compare(scope)
    return this.#spreading.get(key)
  }

  #compare (scope: Scope): void {
    this.#changed.delete(scopeKey(scope))
    let isNew = false
    for (const topic of ownTopics) {
      const key = keyOf(scope, topic)
      const isWanted = this.#hub.hasListeners(scope, topic)
      if (isWanted === this.#own.has(key)) continue
      if (isWanted) {
        this.#own.add(key)
        this.#records.set(key, '')
        isNew = true
      } else {
        this.#own.delete(key)
        this.#records.delete(key)
      }
    }
    if (isNew) this.#spread(scopeKey(scope))
  }

  #spread (scope: string): void {
    const spreading = Promise.all([this.#spreading.get(scope), this.#records.spread()]).finally(() => {
      if (this.#spreading.get(scope) === spreading) this.#spreading.delete(scope)
    })
    this.#spreading.set(scope, spreading)
  }

  #forget (node: string, key: string): void {
    const nodes = this.#others.get(key)
    nodes?.delete(node)
    if (nodes?.size === 0) this.#others.delete(key)
  }
}
