import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { Database } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { readActiveDefinitions, toSnapshot, type MappingSnapshot } from './mapping-snapshot.ts'

const revisionSql =
  'select coalesce((select revision from mapping_revisions where application_id = $1 and environment = $2), 0) as ' +
    'revision'

/**
 * What a reader has to apply. `current` asks the database each time whether it still holds, so that whoever looks at
 * changes after it sees every mapping whose switching on was answered before those changes were committed, on whatever
 * node.
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
    // Read before the mappings: those may be newer than it says, and are then read again, never older.
    const revision = rows[0]?.revision ?? 0
    if (this.#snapshot?.revision !== revision) { this.#snapshot = toSnapshot(revision, await readActiveDefinitions(this.#db, this.#scope)) }
    return this.#snapshot
  }
}
