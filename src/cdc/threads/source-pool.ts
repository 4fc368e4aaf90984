import type { Kysely, Selectable } from 'kysely'
import type { CdcConnectionsTable, Database } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { NotFoundError } from '../../errors.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import { refusePlatformDatabase } from '../source/platform-database.ts'
import { SourceError, unavailableNow, type SourceClient } from '../source/source.ts'
import type { SourceThreads } from './source-threads.ts'

/** The database that a scope has connected. */
export interface Source {
  connectionString: string
  publication: string
  slot: string
  row: Selectable<CdcConnectionsTable>
}

/** Opens sessions in connected databases for requests; readers have their own. */
export function createSourcePool (
  { db, encryption, threads }: { db: Kysely<Database>, encryption: Encryption, threads: SourceThreads }
) {
  async function find (scope: Scope): Promise<Source | undefined> {
    const row = await db.selectFrom('cdc_connections').selectAll()
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).executeTakeFirst()
    return row &&
      {
        connectionString: encryption.decrypt(row.connection_string_sealed, sealedPlaces.connection(row.id)),
        publication: row.publication, slot: row.slot, row
      }
  }

  async function session<T> (source: Source, work: (client: SourceClient, source: Source) => Promise<T>): Promise<T> {
    return await threads.within(source.row.application_id, source.connectionString, async client => {
      await refusePlatformDatabase(db, client)
      return await work(client, source)
    })
  }

  async function run<T> (source: Source, work: (client: SourceClient, source: Source) => Promise<T>): Promise<T> {
    try {
      return await session(source, work)
    } catch (error) {
      throw error instanceof SourceError ? unavailableNow(error) : error
    }
  }

  return {
    find,

    /** Throws NotFoundError `CONNECTION_NOT_FOUND`. */
    async get (scope: Scope): Promise<Source> {
      const source = await find(scope)
      if (source === undefined) {
        throw new NotFoundError('CONNECTION_NOT_FOUND', `No database is connected in ${scope.environment}`)
      }
      return source
    },

    /**
     * Runs work in a session. Returns undefined when no database is connected. Throws ServiceUnavailableError
     * `SOURCE_UNAVAILABLE` when the connected one cannot be used.
     */
    async within<T> (scope: Scope, work: (client: SourceClient, source: Source) => Promise<T>): Promise<T | undefined> {
      const source = await find(scope)
      return source && await run(source, work)
    },

    /** As `within`, but also returns undefined when the database cannot be used: for optional information. */
    async ifPossible<T> (
      scope: Scope, work: (client: SourceClient, source: Source) => Promise<T>
    ): Promise<T | undefined> {
      const source = await find(scope)
      if (source === undefined) return undefined
      try {
        return await session(source, work)
      } catch (error) {
        if (error instanceof SourceError) return undefined
        throw error
      }
    },

    run
  }
}
export type SourcePool = ReturnType<typeof createSourcePool>
