import { setTimeout as sleep } from 'node:timers/promises'
import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MappingDefinition } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { ServiceUnavailableError } from '../../errors.ts'
import { readActiveTables } from '../decoding/mapping-snapshot.ts'
import type { ReaderStatus } from '../replication/reader.ts'
import { readPublication, readSlot } from '../source/slot.ts'
import { compileMapping } from '../mappings/compiled-mapping.ts'
import { publishTable, unpublishTable } from '../source/publication.ts'
import type { SourceClient } from '../source/source.ts'
import type { Source, SourcePool } from '../threads/source-pool.ts'
import { tableKey, type TableName } from '../mappings/table-name.ts'
import { KeyedQueue } from '../../foundation/limits/keyed-queue.ts'

/** Makes sure that the stream carries the changes that the mapping needs. */
export type Publish = (definition: MappingDefinition) => Promise<void>

/** How long to wait for a stream that is starting; most start within two seconds. */
const beginningMs = 4000
const lookAgainMs = 200

export interface MappingChangesOptions {
  db: Kysely<Database>
  sources: SourcePool
  writersWaitMs: number
  log: { warn (fields: object, message: string): void }
}

/**
 * Applies changes to what a scope's reader does, one at a time in each scope. A change applies to every transaction
 * that commits in the connected database after the call returns: the reader reads the revision after it has received a
 * change, and the table is in the publication before the call returns.
 */
export function createMappingChanges ({ db, sources, writersWaitMs, log }: MappingChangesOptions) {
  const queue = new KeyedQueue()

  /**
   * Queues by application, so that its environments together hold one database connection. The lock on the scope's row
   * keeps a table from being removed from the publication while a mapping of it is being enabled.
   */
  async function inTurn<T> (scope: Scope, work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
    return await queue.take(scope.applicationId, () =>
      db.transaction().execute(async trx => {
        await sql`
        insert into mapping_revisions as r (application_id, environment, revision)
        values (${scope.applicationId}, ${scope.environment}, 1)
        on conflict (application_id, environment) do update set revision = r.revision + 1`.execute(trx)
        return await work(trx)
      }))
  }

  return {
    /**
     * Runs `work` in a transaction. `work` awaits `publish` for each mapping that runs afterwards; it throws what
     * `publishTable` throws, and `SOURCE_UNAVAILABLE`.
     */
    async make<T> (scope: Scope, work: (trx: Transaction<Database>, publish: Publish) => Promise<T>): Promise<T> {
      const attempt = () => inTurn(scope, trx => work(trx, async definition => {
        await sources.within(scope, async (client, source) => {
          await requireStream(trx, client, source)
          await publishTable(client, source.publication, compileMapping(definition), writersWaitMs)
        })
      }))
      for (const deadline = performance.now() + beginningMs; ;) {
        try {
          return await attempt()
        } catch (error) {
          if (!(error instanceof NoStreamYetError) || performance.now() > deadline) throw error
        }
        // Waits outside a transaction: a slot under creation waits for every writing transaction on its server, and the
        // platform's database may be on the same one.
        await sleep(lookAgainMs)
      }
    },

    /**
     * Removes a table from the platform's own publication if no mapping needs it. Failures are ignored: a table too
     * many only costs WAL.
     */
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

/** A reader is about to start the stream. */
class NoStreamYetError extends ServiceUnavailableError {}

/**
 * Requires a stream before a mapping is enabled. A transaction that commits before the slot exists is in no stream,
 * even if the publication lists its table. Throws ServiceUnavailableError `SOURCE_UNAVAILABLE`.
 */
async function requireStream (
  trx: Transaction<Database>, client: SourceClient, { row: { id, revision, slot, publication } }: Source
): Promise<void> {
  const row = await trx.selectFrom('cdc_connections as c').innerJoin('cdc_positions as p', 'p.connection_id', 'c.id')
    .select(['c.status', 'c.gap_accepted', 'p.slot', 'p.publication_oid']).where('c.id', '=', id).where(
      'c.revision', '=', revision
    ).executeTakeFirst()
  if (row === undefined) throw new NoStreamYetError(...noStream('its connection has just been changed. Try again'))
  if (row.slot !== slot || row.gap_accepted) {
    const { state = 'connecting', error } = JSON.parse(row.status ?? '{}') as Partial<ReaderStatus>
    const why = `try again when its state is streaming. State now: ${state}${
      error == null ? '' : `, ${error.code}: ${error.message}`
    }`
    throw state === 'error' ? new ServiceUnavailableError(...noStream(why)) : new NoStreamYetError(...noStream(why))
  }
  const found = await readSlot(client, slot)
  if (
    found?.confirmedLsn == null || found.walStatus === 'lost' ||
    (await readPublication(client, publication))?.oid !== row.publication_oid
  ) {
    throw new ServiceUnavailableError(
      ...noStream('its slot or publication was dropped. Accept the gap with "acceptGap": true, then try again')
    )
  }
}

const noStream = (why: string) =>
  ['SOURCE_UNAVAILABLE', `The connected database is not being read: ${why}`, {
    retryAfterS: 5
  }] as const
