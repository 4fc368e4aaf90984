import { createHash } from 'node:crypto'
import { sql, type Kysely, type Selectable } from 'kysely'
import type { CdcConnectionsTable, Database } from '../../db/tables.ts'
import type { DatabaseConnection, DatabaseConnectionPut, DatabaseDisconnected } from '../../schemas/database.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { system, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { Encryption } from '../encryption.ts'
import { NotFoundError } from '../errors.ts'
import { randomId } from '../ids.ts'
import type { ReaderStatus } from './cdc/reader.ts'
import { parseConnectionString, withoutPassword } from './connection-string.ts'
import { dropLeftovers } from './leftovers.ts'
import type { Sources } from './sources.ts'

export interface ConnectionsOptions {
  db: Kysely<Database>
  encryption: Encryption
  sources: Sources
  /** Prefix of slots and publications that get no name of their own. */
  namePrefix: string
  /** The readers of this node are to look at what has changed. */
  onChanged: () => void
}

type Row = Selectable<CdcConnectionsTable> & { is_read: boolean }

/** The database that a scope has connected, one at most. Its password goes in and never comes out. */
export function createDatabaseConnections ({ db, encryption, sources, namePrefix, onChanged }: ConnectionsOptions) {
  async function get (scope: Scope): Promise<DatabaseConnection> {
    const row = await db.selectFrom('cdc_connections').innerJoin('cdc_positions', 'cdc_positions.connection_id', 'cdc_connections.id')
      .selectAll('cdc_connections')
      .select(sql<boolean>`lease_owner is not null and lease_expires_at >= clock_timestamp()`.as('is_read'))
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).executeTakeFirst()
    if (row === undefined) throw new NotFoundError('CONNECTION_NOT_FOUND', `No database is connected in ${scope.environment}`)
    return toConnection(row, encryption.decrypt(row.connection_string_sealed))
  }

  return {
    get,

    /**
     * Connects a database, or changes how; names that are left out stay as they are. The reader begins in the background: its
     * state tells how it gets on.
     */
    async put (scope: Scope, { connectionString, publication, slot, acceptGap = false }: DatabaseConnectionPut, by: Origin = system): Promise<DatabaseConnection> {
      parseConnectionString(connectionString)
      const now = Date.now()
      const sealed = encryption.encrypt(connectionString)
      const ownName = `${namePrefix}_${createHash('sha256').update(scopeKey(scope)).digest('hex').slice(0, 12)}`
      await db.transaction().execute(async trx => {
        const { id } = await trx.insertInto('cdc_connections')
          .columns(['id', 'application_id', 'environment', 'connection_string_sealed', 'publication', 'slot', 'gap_accepted', 'created_at', 'updated_at'])
          .expression(eb => eb.selectFrom('applications').where('id', '=', scope.applicationId).forKeyShare().select([
            eb.val(randomId('cdc')).as('id'), 'id as application_id', eb.val(scope.environment).as('environment'), eb.val(sealed).as('connection_string_sealed'),
            eb.val(publication ?? ownName).as('publication'), eb.val(slot ?? ownName).as('slot'), eb.val(acceptGap).as('gap_accepted'),
            eb.cast<number>(eb.val(now), 'bigint').as('created_at'), eb.cast<number>(eb.val(now), 'bigint').as('updated_at')
          ]))
          .onConflict(conflict => conflict.columns(['application_id', 'environment']).doUpdateSet(eb => ({
            connection_string_sealed: sealed,
            ...(publication !== undefined && { publication, owns_publication: sql<boolean>`cdc_connections.owns_publication and cdc_connections.publication = ${publication}` }),
            ...(slot !== undefined && { slot, owns_slot: sql<boolean>`cdc_connections.owns_slot and cdc_connections.slot = ${slot}` }),
            gap_accepted: sql<boolean>`cdc_connections.gap_accepted or ${acceptGap}`,
            revision: eb('cdc_connections.revision', '+', 1),
            status: null,
            updated_at: now
          })))
          .returning('id').executeTakeFirstOrThrow(() => new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${scope.applicationId}`))
        await trx.insertInto('cdc_positions').values({ connection_id: id }).onConflict(conflict => conflict.doNothing()).execute()
        await record(trx, by, {
          action: 'database.connected', resourceId: id, place: scope, after: { database: withoutPassword(connectionString), publication, slot, acceptGap }
        })
      })
      onChanged()
      return await get(scope)
    },

    /** Ends the reading, and drops slot and publication if they were ours. What could not be dropped is in the answer. */
    async remove (scope: Scope, by: Origin = system): Promise<DatabaseDisconnected> {
      const { connectionString, row } = await sources.get(scope)
      // From here on, whoever still reads has no position to go on from.
      await db.transaction().execute(async trx => {
        await trx.deleteFrom('cdc_connections').where('id', '=', row.id).execute()
        await record(trx, by, {
          action: 'database.disconnected', resourceId: row.id, place: scope, before: { database: withoutPassword(connectionString), publication: row.publication, slot: row.slot }
        })
      })
      onChanged()
      const leftovers = await dropLeftovers(connectionString, {
        publication: row.publication, slot: row.slot, ownsPublication: row.owns_publication, ownsSlot: row.owns_slot
      })
      return { connectionString: withoutPassword(connectionString), leftovers }
    }
  }
}
export type DatabaseConnections = ReturnType<typeof createDatabaseConnections>

/** Without a reader, what the last one said counts as long as it was an error; otherwise one is about to come. */
function toConnection (row: Row, connectionString: string): DatabaseConnection {
  const status = row.status === null ? undefined : JSON.parse(row.status) as ReaderStatus
  const state = status === undefined ? 'connecting' : row.is_read || status.state === 'error' || status.state === 'stopped' ? status.state : 'connecting'
  const oldest = status?.oldestCommitAt
  return {
    connectionString: withoutPassword(connectionString),
    publication: row.publication,
    slot: row.slot,
    environment: row.environment,
    state,
    since: status?.since ?? row.updated_at,
    error: status?.error ?? null,
    lsn: {
      server: status?.serverLsn ?? null,
      received: status?.receivedLsn ?? null,
      stored: status?.storedLsn ?? null,
      confirmed: status?.confirmedLsn ?? null
    },
    lagBytes: status?.lagBytes ?? null,
    lagMs: status?.serverLsn === undefined ? null : oldest == null ? 0 : Math.max(0, Date.now() - oldest),
    retainedWalBytes: status?.retainedBytes ?? null,
    createdAt: row.created_at,
    updatedAt: row.updated_at
  }
}
