import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { Database } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { readActiveDefinitions, toSnapshot, type MappingSnapshot } from './mapping-snapshot.ts'

const revisionSql =
  'select coalesce((select revision from mapping_revisions where application_id = $1 and environment = $2), 0) as ' +
    'revision'

/**
 * The mappings that a reader applies. `current` compares the revision with the database on each call. So a caller that
 * holds changes sees every mapping that was enabled before those changes were committed, on whichever node.
 */
export class ActiveMappings {
  readonly #pool: pg.Pool
  readonly #db: Kysely<Database>
  readonly #scope: Scope
  #snapshot: MappingSnapshot | undefined

  constructor ({ pool, db }: { pool: pg.Pool, db: Kysely<Database> }, scope: Scope) {
    this.#pool = pool
    this.#db = db
    this.#scope = scope
  }

  async current (): Promise<MappingSnapshot> {
    const { rows } = await this.#pool.query<{ revision: number }>({
      name: 'cdc_revision', text: revisionSql, values: [this.#scope.applicationId, this.#scope.environment]
    })
    // Read before the mappings: these may be newer than the revision, and are then read again, but never older.
    const revision = rows[0]?.revision ?? 0
    if (this.#snapshot?.revision !== revision) {
      this.#snapshot = toSnapshot(revision, await readActiveDefinitions(this.#db, this.#scope))
    }
    return this.#snapshot
  }
}
