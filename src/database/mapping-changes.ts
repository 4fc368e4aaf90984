import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { readActiveTables } from './active-definitions.ts'
import { publishTable, unpublishTable } from './publication.ts'
import type { Sources } from './sources.ts'
import { tableKey, type TableName } from './table-name.ts'
import { Turns } from './turns.ts'

export interface MappingChangesOptions {
  db: Kysely<Database>
  sources: Sources
  writersWaitMs: number
  log: { warn (fields: object, message: string): void }
}

/**
 * Changes of what a scope's reader is to do, one after the other in each scope. A change counts as made, for whatever is
 * committed in the connected database after its answer: the reader asks for the revision after it has received a change,
 * and the table was in the publication before the answer.
 */
export function createMappingChanges ({ db, sources, writersWaitMs, log }: MappingChangesOptions) {
  const turns = new Turns()

  /** The lock on the scope's row is what keeps a table from being taken out while it is being switched on. */
  async function inTurn<T> (scope: Scope, work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
    return await turns.take(scopeKey(scope), () => db.transaction().execute(async trx => {
      await sql`insert into mapping_revisions as r (application_id, environment, revision) values (${scope.applicationId}, ${scope.environment}, 1)
        on conflict (application_id, environment) do update set revision = r.revision + 1`.execute(trx)
      return await work(trx)
    }))
  }

  return {
    /** `publish` is to be awaited with each table that is wanted afterwards. It throws what `publishTable` throws, and `SOURCE_UNAVAILABLE`. */
    async make<T> (scope: Scope, work: (trx: Transaction<Database>, publish: (table: TableName) => Promise<void>) => Promise<T>): Promise<T> {
      return await inTurn(scope, trx => work(trx, async table => {
        await sources.within(scope, (client, { publication }) => publishTable(client, publication, table, writersWaitMs))
      }))
    },

    /** Takes a table out of a publication of ours, if no mapping wants it any more. What cannot be done is left: it only costs WAL. */
    async tidy (scope: Scope, table: TableName): Promise<void> {
      const source = await sources.find(scope)
      if (source === undefined || !source.row.owns_publication) return
      try {
        await inTurn(scope, async trx => {
          const wanted = await readActiveTables(trx, scope)
          if (wanted.some(one => tableKey(one) === tableKey(table))) return
          await sources.ifPossible(scope, (client, { publication }) => unpublishTable(client, publication, table))
        })
      } catch (err) {
        log.warn({ err, ...scope, table }, 'database.table_left_published')
      }
    }
  }
}
export type MappingChanges = ReturnType<typeof createMappingChanges>
