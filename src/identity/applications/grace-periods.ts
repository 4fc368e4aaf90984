import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'

/** How long a node may go on with a time that another node has changed. */
const believedMs = 2000
/** Also the column's default: what holds while the database is away. */
export const defaultGraceMs = 3000

/**
 * For how long the applications keep members of channels whose connection has ended. Asked once for the thousands of
 * connections that end together; a change made here holds at once.
 */
export class GraceTimes {
  readonly #db: Kysely<Database>
  readonly #known = new LRUCache<string, Promise<number>>({ max: 10_000, ttl: believedMs })

  constructor ({ db }: { db: Kysely<Database> }) {
    this.#db = db
  }

  /** Never rejects. */
  of (applicationId: string): Promise<number> {
    let time = this.#known.get(applicationId)
    if (time === undefined) {
      time = this.#read(applicationId)
      this.#known.set(applicationId, time)
    }
    return time
  }

  set (applicationId: string, graceMs: number): void {
    this.#known.set(applicationId, Promise.resolve(graceMs))
  }

  /** Another node has changed it. */
  forget (applicationId: string): void {
    this.#known.delete(applicationId)
  }

  async #read (applicationId: string): Promise<number> {
    const row = await this.#db.selectFrom('applications').select('presence_grace_ms').where('id', '=', applicationId)
      .executeTakeFirst().catch(() => undefined)
    return row?.presence_grace_ms ?? defaultGraceMs
  }
}
