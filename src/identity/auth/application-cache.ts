import { sql, type Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'

/** How long a node may serve an application that another node has deleted. */
const believedMs = 2000
const idForm = /^app_[A-Za-z0-9_-]{1,60}$/

/**
 * Caches which applications exist, for every request. An answer is at most two seconds old, and never older than a
 * deletion on this node. Ids are random and never reused, so a negative answer is cached as well.
 */
export class ApplicationCache {
  readonly #db: Kysely<Database>
  readonly #known = new LRUCache<string, boolean>({ max: 10_000, ttl: believedMs })
  readonly #asked = new Map<string, Promise<boolean>>()

  constructor ({ db }: { db: Kysely<Database> }) {
    this.#db = db
  }

  /** Returns whether an application exists, if that is in memory. */
  peek (id: string): boolean | undefined {
    return this.#known.get(id)
  }

  /** Returns whether an application exists, from memory if possible. Otherwise concurrent callers share one query. */
  async has (id: string): Promise<boolean> {
    return this.#known.get(id) ?? (idForm.test(id) && await (this.#asked.get(id) ?? this.#ask(id)))
  }

  set (id: string, exists: boolean): void {
    this.#asked.delete(id)
    this.#known.set(id, exists)
  }

  /** Queries which of the applications exist now. */
  async living (ids: string[]): Promise<Set<string>> {
    const rows = await this.#db.selectFrom('applications').select('id').where(sql<boolean>`id = any(${ids})`).execute()
    const living = new Set(rows.map(({ id }) => id))
    for (const id of ids) if (!living.has(id)) this.set(id, false)
    return living
  }

  #ask (id: string): Promise<boolean> {
    const answer = this.#read(id).then(exists => {
      // A create or delete during the query takes precedence.
      if (this.#asked.get(id) === answer) this.#known.set(id, exists)
      return this.#known.get(id) ?? exists
    }).finally(() => {
      if (this.#asked.get(id) === answer) this.#asked.delete(id)
    })
    this.#asked.set(id, answer)
    return answer
  }

  async #read (id: string): Promise<boolean> {
    return await this.#db.selectFrom('applications').select('id').where('id', '=', id).executeTakeFirst() !== undefined
  }
}
