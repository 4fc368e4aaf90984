import { sql, type Kysely, type Selectable, type Transaction } from 'kysely'
import type { CdcConnectionsTable, Database } from '../../../db/tables.ts'
import type {
  DatabaseConnection, DatabaseConnectionPut, DatabaseDisconnected, Leftover
} from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { isFreeSql } from '../../cluster/leases.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { NotFoundError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import { invalid } from '../../foundation/json.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import type { ReaderStatus } from '../replication/reader.ts'
import { newMark, ownName } from '../source/slot-ownership.ts'
import { dropPublicationSql, dropSlotSql } from '../source/slot.ts'
import { parseConnectionString, withoutPassword } from '../source/connection-string.ts'
import { recordLeftovers, recordDueLeftovers, type SlotCleanup } from '../replication/slot-cleanup.ts'
import { refusePlatformDatabase } from '../source/platform-database.ts'
import { SourceError } from '../source/source.ts'
import type { SourceThreads } from '../threads/source-threads.ts'

export interface ConnectionsOptions {
  db: Kysely<Database>
  encryption: Encryption
  slotCleanup: SlotCleanup
  threads: SourceThreads
  /** Prefix of the default names of slots and publications. */
  namePrefix: string
  /** Called when the readers of this node must check the connections again. */
  onChanged: () => void
  /** The clock that all nodes share. */
  now: () => number
}

type Row = Selectable<CdcConnectionsTable> & { is_read: boolean, lease_owner: string | null }

/** Manages the database connection of a scope, at most one. Its password is never returned. */
export function createDatabaseConnections (
  { db, encryption, slotCleanup, threads, namePrefix, onChanged, now: clock }: ConnectionsOptions
) {
  async function get (scope: Scope): Promise<DatabaseConnection> {
    const row = await db.selectFrom('cdc_connections').innerJoin(
      'cdc_positions', 'cdc_positions.connection_id', 'cdc_connections.id'
    )
      .selectAll('cdc_connections')
      .select([sql<boolean>`not ${sql.raw(isFreeSql)}`.as('is_read'), 'lease_owner'])
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).executeTakeFirst()
    if (row === undefined) throw noConnection(scope)
    return {
      ...toConnection(row, encryption.decrypt(row.connection_string_sealed, sealedPlaces.connection(row.id))),
      leftovers: await slotCleanup.list(scope)
    }
  }

  const lock = async (trx: Transaction<Database>, { applicationId, environment }: Scope) =>
    await trx.selectFrom('cdc_connections').selectAll().where('application_id', '=', applicationId).where(
      'environment', '=', environment
    ).forUpdate().executeTakeFirst()

  /**
   * Throws ValidationError for the platform's own database. If the database is unreachable now, its reader checks it
   * later.
   */
  async function refusePlatform ({ applicationId }: Scope, connectionString: string): Promise<void> {
    parseConnectionString(connectionString)
    try {
      await threads.within(applicationId, connectionString, client => refusePlatformDatabase(db, client))
    } catch (error) {
      if (error instanceof SourceError && error.code === 'SOURCE_REFUSED') {
        throw invalid('/connectionString', "leads to the platform's own database; connect an application's database")
      }
    }
  }

  /**
   * Returns whether the new string leads to another database. A stored string that no key can decrypt counts as the
   * same database: the user is correcting it.
   */
  function isElsewhere (
    { id, connection_string_sealed: sealed }: Selectable<CdcConnectionsTable>, connectionString: string
  ): boolean {
    const addressOf = (text: string) =>
      (({ host, port, database }) => JSON.stringify([host, port, database]))(parseConnectionString(text))
    try {
      return addressOf(encryption.decrypt(sealed, sealedPlaces.connection(id))) !== addressOf(connectionString)
    } catch {
      return false
    }
  }

  /** Records what the connection created under its earlier address or names for cleanup. */
  async function change (
    trx: Transaction<Database>, scope: Scope,
    { connectionString, publication, slot, acceptGap = false }: DatabaseConnectionPut
  ): Promise<string | undefined> {
    const before = await lock(trx, scope)
    if (before === undefined) return undefined
    const hasMoved = isElsewhere(before, connectionString)
    const forgets = {
      slot: hasMoved || (slot !== undefined && slot !== before.slot),
      publication: hasMoved || (publication !== undefined && publication !== before.publication)
    }
    await recordLeftovers(trx, before, forgets)
    await trx.updateTable('cdc_connections').set({
      connection_string_sealed: encryption.encrypt(connectionString, sealedPlaces.connection(before.id)),
      publication: publication ?? before.publication,
      slot: slot ?? before.slot,
      owns_publication: before.owns_publication && !forgets.publication,
      owns_slot: before.owns_slot && !forgets.slot,
      slot_lsn: forgets.slot ? null : before.slot_lsn,
      gap_accepted: before.gap_accepted || acceptGap,
      revision: before.revision + 1,
      status: null,
      updated_at: Date.now()
    }).where('id', '=', before.id).execute()
    return before.id
  }

  return {
    get,

    /**
     * Connects a database, or changes its settings; omitted names keep their values. Reading starts in the background,
     * even if the database is unreachable now: the connection's state reports progress. Throws ValidationError for the
     * platform's own database.
     */
    async put (scope: Scope, body: DatabaseConnectionPut, by: Origin): Promise<DatabaseConnection> {
      const { connectionString, publication, slot, acceptGap = false } = body
      await refusePlatform(scope, connectionString)
      const now = Date.now()
      const ownId = randomId('cdc')
      // The mark belongs to the connection and not to the scope: leftovers of an earlier connection may still be
      // dropped.
      const mark = newMark()
      const defaultName = ownName(namePrefix, mark)
      await db.transaction().execute(async trx => {
        const made = await trx.insertInto('cdc_connections')
          .columns([
            'id', 'application_id', 'environment', 'connection_string_sealed', 'publication', 'slot', 'mark',
            'gap_accepted', 'created_at', 'updated_at'
          ])
          .expression(eb =>
            eb.selectFrom('applications').where('id', '=', scope.applicationId).forKeyShare().select([
              eb.val(ownId).as('id'),
              'id as application_id',
              eb.val(scope.environment).as('environment'),
              eb.val(encryption.encrypt(connectionString, sealedPlaces.connection(ownId))).as(
                'connection_string_sealed'
              ),
              eb.val(publication ?? defaultName).as('publication'),
              eb.val(slot ?? defaultName).as('slot'),
              eb.val(mark).as('mark'),
              eb.val(acceptGap).as('gap_accepted'),
              eb.cast<number>(eb.val(now), 'bigint').as('created_at'),
              eb.cast<number>(eb.val(now), 'bigint').as('updated_at')
            ])
          )
          .onConflict(conflict => conflict.columns(['application_id', 'environment']).doNothing())
          .returning('id').executeTakeFirst()
        const id = made?.id ?? await change(trx, scope, body)
        if (id === undefined) {
          throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${scope.applicationId}`)
        }
        await trx.insertInto('cdc_positions').values({ connection_id: id }).onConflict(conflict => conflict.doNothing())
          .execute()
        await record(trx, by, {
          action: 'database.connected',
          resourceId: id,
          place: scope,
          after: { database: withoutPassword(connectionString), publication, slot, acceptGap }
        })
      })
      onChanged()
      return await get(scope)
    },

    /**
     * Stops reading, and drops the slot and publication if the connection created them. Returns what could not be
     * dropped and is retried.
     */
    async remove (scope: Scope, by: Origin): Promise<DatabaseDisconnected> {
      // Deleting the position stops any reader that is still running.
      const { row, connectionString, left } = await db.transaction().execute(async trx => {
        const row = await lock(trx, scope)
        if (row === undefined) throw noConnection(scope)
        const connectionString = withoutPassword(
          encryption.decrypt(row.connection_string_sealed, sealedPlaces.connection(row.id))
        )
        const left = await recordDueLeftovers(trx, row, clock())
        await trx.deleteFrom('cdc_connections').where('id', '=', row.id).execute()
        await record(trx, by, {
          action: 'database.disconnected',
          resourceId: row.id,
          place: scope,
          before: { database: connectionString, publication: row.publication, slot: row.slot }
        })
        return { row, connectionString, left }
      })
      onChanged()
      const results = (await Promise.all(left.map(one => slotCleanup.drop(one)))).flat()
      const kept: Leftover[] = [
        {
          name: 'slot', status: 'kept', message: 'The replication slot was not created by this connection',
          sql: dropSlotSql(row.slot)
        },
        {
          name: 'publication', status: 'kept', message: 'The publication was not created by this connection',
          sql: dropPublicationSql(row.publication)
        }
      ]
      return {
        connectionString,
        leftovers: kept.flatMap(one =>
          results.some(({ name }) => name === one.name) ? results.filter(({ name }) => name === one.name) : one
        )
      }
    }
  }
}
export type DatabaseConnections = ReturnType<typeof createDatabaseConnections>

const noConnection = ({ environment }: Scope) =>
  new NotFoundError('CONNECTION_NOT_FOUND', `No database is connected in ${environment}`)

/**
 * Without a reader, the last reader's state counts if it was an error or a stop; otherwise a reader is about to start.
 */
function toConnection (row: Row, connectionString: string): Omit<DatabaseConnection, 'leftovers'> {
  const status = row.status === null ? undefined : JSON.parse(row.status) as ReaderStatus
  const state = status === undefined
    ? 'connecting'
    : row.is_read || status.state === 'error' || status.state === 'stopped'
      ? status.state
      : 'connecting'
  const oldest = status?.oldestCommitAt
  return {
    connectionString: withoutPassword(connectionString),
    publication: row.publication,
    slot: row.slot,
    environment: row.environment,
    state,
    since: status?.since ?? row.updated_at,
    readerNode: row.is_read ? row.lease_owner : null,
    error: status?.error ?? null,
    lsn: {
      server: status?.serverLsn ?? null,
      received: status?.receivedLsn ?? null,
      stored: status?.storedLsn ?? null,
      confirmed: status?.confirmedLsn ?? null
    },
    // Lag is unknown unless a reader is streaming.
    lagBytes: state === 'streaming' ? status?.lagBytes ?? null : null,
    lagMs: state !== 'streaming' || status?.serverLsn === undefined
      ? null
      : oldest == null
        ? 0
        : Math.max(0, Date.now() - oldest),
    retainedWalBytes: status?.retainedBytes ?? null,
    decodingSince: state === 'streaming' ? status?.decodingSince ?? null : null,
    createdAt: row.created_at,
    updatedAt: row.updated_at
  }
}
