import { LRUCache } from 'lru-cache'

/** Applications that a node remembers the counts of. */
const applicationsMax = 10_000

/** The count at the last exchange, at this node and at the others. */
interface Exchanged { own: number, elsewhere: number, nodes: number }

/**
 * Limits a count that grows at several nodes. Between two exchanges, each node may use its part of the room that was
 * left at the last one. So all nodes together exceed the limit by less than one for each node.
 */
export class SharedCount {
  /** The number of nodes at the last exchange. */
  nodes = 1
  readonly #exchanged = new LRUCache<string, Exchanged>({ max: applicationsMax })

  /** Returns how many more this node may add. `own` is the count at this node now. */
  room (applicationId: string, limit: number, own: number): number {
    const { own: before, elsewhere, nodes } = this.#exchanged.get(applicationId) ?? this.#first(applicationId, own)
    const left = limit - elsewhere - before
    return Math.min(before + Math.ceil(left / nodes) - own, limit - elsewhere - own)
  }

  /** Returns whether the application was part of an exchange, or has been counted before it. */
  isKnown (applicationId: string): boolean {
    return this.#exchanged.has(applicationId)
  }

  /** Returns the count over all nodes, as far as this node has been informed. */
  total (applicationId: string, own: number): number {
    return own + (this.#exchanged.get(applicationId)?.elsewhere ?? 0)
  }

  exchanged (applicationId: string, exchanged: Exchanged): void {
    this.#exchanged.set(applicationId, exchanged)
  }

  /** The applications that have been counted. */
  get applications (): Iterable<string> { return this.#exchanged.keys() }

  #first (applicationId: string, own: number): Exchanged {
    const exchanged = { own, elsewhere: 0, nodes: this.nodes }
    this.#exchanged.set(applicationId, exchanged)
    return exchanged
  }

  forget (applicationId: string): void {
    this.#exchanged.delete(applicationId)
  }
}
