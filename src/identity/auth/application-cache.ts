import { sql, type Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'

/** How long a node may believe in an application that another node has deleted. */
const believedMs = 2000
const idForm = /^app_[A-Za-z0-9_-]{1,60}$/

/**
 * Which applications exist, for the hot path: an answer is at most two seconds old, and one made here is never older
 * than a delete made here. Ids are random and never given twice, so that "there is none" keeps as well.
 */
export class ApplicationPresence {
  readonly #db: Kysely<Database>
  readonly #known = new LRUCache<string, boolean>({ max: 10_000, ttl: believedMs })
  readonly #asked = new Map<string, Promise<boolean>>()

  constructor ({ db }: { db: Kysely<Database> }) {
    this.#db = db
  }

  /** Answers at once from memory; otherwise callers that ask together share one query. */
  has (id: string): boolean | Promise<boolean> {
    return this.#known.get(id) ?? (idForm.test(id) && (this.#asked.get(id) ?? this.#ask(id)))
  }

  set (id: string, exists: boolean): void {
    this.#asked.delete(id)
    this.#known.set(id, exists)
  }

  /** Which of them exist, as the database has it now. */
  async living (ids: string[]): Promise<Set<string>> {
    const rows = await this.#db.selectFrom('applications').select('id').where(sql<boolean>`id = any(${ids})`).execute()
    const living = new Set(rows.map(({ id }) => id))
    for (const id of ids) if (!living.has(id)) this.set(id, false)
    return living
  }

  #ask (id: string): Promise<boolean> {
    const answer = this.#read(id).then(exists => {
      // A delete or create meanwhile knows better.
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
