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
import type { Source, Sources } from '../threads/source-pool.ts'
import { tableKey, type TableName } from '../mappings/table-name.ts'
import { Turns } from '../../foundation/limits/keyed-queue.ts'

/** Sees to it that the stream has what the mapping wants. */
export type Publish = (definition: MappingDefinition) => Promise<void>

/** A stream that is about to begin does so within a second or two. */
const beginningMs = 4000
const lookAgainMs = 200

export interface MappingChangesOptions {
  db: Kysely<Database>
  sources: Sources
  writersWaitMs: number
  log: { warn (fields: object, message: string): void }
}

/**
 * Changes of what a scope's reader is to do, one after the other in each scope. A change counts as made, for whatever
 * is committed in the connected database after its answer: the reader asks for the revision after it has received a
 * change, and the table was in the publication before the answer.
 */
export function createMappingChanges ({ db, sources, writersWaitMs, log }: MappingChangesOptions) {
  const turns = new Turns()

  /**
   * The turn is the application's: its environments do not hold several. The lock on the scope's row is what keeps a
   * table from being taken out while it is being switched on.
   */
  async function inTurn<T> (scope: Scope, work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
    return await turns.take(scope.applicationId, () =>
      db.transaction().execute(async trx => {
        await sql`insert into mapping_revisions as r (application_id, environment, revision) values (${scope.applicationId}, ${scope.environment}, 1)
        on conflict (application_id, environment) do update set revision = r.revision + 1`.execute(trx)
        return await work(trx)
      }))
  }

  return {
    /**
     * `publish` is to be awaited with each mapping that is to run afterwards. It throws what `publishTable` throws, and
     * `SOURCE_UNAVAILABLE`.
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
        // Without a transaction: a slot that begins waits for every one that writes, on the whole server, and that may
        // be ours too.
        await sleep(lookAgainMs)
      }
    },

    /**
     * Takes a table out of a publication of ours, if no mapping wants it any more. What cannot be done is left: it only
     * costs WAL.
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

/** A reader is about to begin with it. */
class NoStreamYetError extends ServiceUnavailableError {}

/**
 * What is committed before the slot begins, nobody sees, whatever is in the publication: there has to be a stream
 * before there is an answer. Throws ServiceUnavailableError `SOURCE_UNAVAILABLE`.
 */
async function requireStream (
  trx: Transaction<Database>, client: SourceClient, { row: { id, revision, slot, publication } }: Source
): Promise<void> {
  const row = await trx.selectFrom('cdc_connections as c').innerJoin('cdc_positions as p', 'p.connection_id', 'c.id')
    .select(['c.status', 'c.gap_accepted', 'p.slot', 'p.publication_oid']).where('c.id', '=', id).where(
      'c.revision', '=', revision
    ).executeTakeFirst()
  if (row === undefined) throw new NoStreamYetError(...noStream('its connection has just been changed: try again'))
  if (row.slot !== slot || row.gap_accepted) {
    const { state = 'connecting', error } = JSON.parse(row.status ?? '{}') as Partial<ReaderStatus>
    const why = `it has not begun to be read (${state}${
      error == null ? '' : `, ${error.code}: ${error.message}`
    }): try again when it streams`
    throw state === 'error' ? new ServiceUnavailableError(...noStream(why)) : new NoStreamYetError(...noStream(why))
  }
  const found = await readSlot(client, slot)
  if (
    found?.confirmedLsn == null || found.walStatus === 'lost' ||
    (await readPublication(client, publication))?.oid !== row.publication_oid
  ) {
    throw new ServiceUnavailableError(
      ...noStream('its slot or publication is gone: try again when the gap is accepted, with acceptGap')
    )
  }
}

const noStream = (why: string) =>
  ['SOURCE_UNAVAILABLE', `The connected database has no stream in which the mapping's changes would be: ${why}`, {
    retryAfterS: 5
  }] as const
