import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'

/** How long a node may use a value that another node has changed. */
const believedMs = 2000
/** The default of the column, used while the database is unavailable. */
export const defaultGraceMs = 3000

/**
 * Caches how long applications keep channel members after their connection has ended. Thousands of connections that end
 * together cause one query. A change on this node applies at once.
 */
export class GracePeriods {
  readonly #db: Kysely<Database>
  readonly #known = new LRUCache<string, Promise<number>>({ max: 10_000, ttl: believedMs })

  constructor ({ db }: { db: Kysely<Database> }) {
    this.#db = db
  }

  /** Returns the time in milliseconds. Never rejects. */
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

  /** Call when another node has changed the time. */
  forget (applicationId: string): void {
    this.#known.delete(applicationId)
  }

  async #read (applicationId: string): Promise<number> {
    const row = await this.#db.selectFrom('applications').select('presence_grace_ms').where('id', '=', applicationId)
      .executeTakeFirst().catch(() => undefined)
    return row?.presence_grace_ms ?? defaultGraceMs
  }
}
