import { sql, type Kysely, type Selectable, type Transaction } from 'kysely'
import type pg from 'pg'
import type { CdcConnectionsTable, CdcLeftoversTable, Database } from '../../../db/tables.ts'
import type { Leftover } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { randomId } from '../../foundation/ids.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import { parseLsn } from '../source/stream-state.ts'
import { carriesMark, readSessionMark } from '../source/slot-ownership.ts'
import {
  dropPublicationSql, dropSlot, dropSlotSql, isOwnPublication, readPublication, readSystemIdentifier, type SlotRecord
} from '../source/slot.ts'
import type { SourceClient } from '../source/source.ts'
import type { SourceThreads } from '../threads/source-threads.ts'

/** Cleanup gives up on a database that was unreachable for this long. */
const giveUpAfterMs = 7 * 24 * 3_600_000

type Connection = Selectable<CdcConnectionsTable>
export type LeftoverRow = Selectable<CdcLeftoversTable>

export interface SlotCleanupOptions {
  db: Kysely<Database>
  pool: pg.Pool
  encryption: Encryption
  threads: SourceThreads
  /** The time between two attempts. */
  retryMs: number
  /** The clock that all nodes share. */
  now: () => number
  log: { warn (fields: object, message: string): void, error (fields: object, message: string): void }
}

/**
 * Records what a connection created under settings that it is about to lose, in the same transaction, so that it is
 * dropped even if this process dies. Cleanup becomes due when a stream has started elsewhere, or with
 * `recordDueLeftovers`; until then the connection may return to its earlier settings.
 */
export async function recordLeftovers (
  trx: Transaction<Database>, connection: Connection, forgets: { slot: boolean, publication: boolean }
): Promise<void> {
  const slot = forgets.slot && connection.owns_slot ? connection.slot : null
  const publication = forgets.publication && connection.owns_publication ? connection.publication : null
  if (slot === null && publication === null) return
  // Raising the fence stops the earlier reader from acknowledging more, so the recorded LSN stays the last one.
  const position = await trx.updateTable('cdc_positions')
    .set(eb => ({ fence: eb('fence', '+', 1), lease_owner: null })).where('connection_id', '=', connection.id)
    .returning(['slot', 'confirmed_lsn']).executeTakeFirst()
  await trx.insertInto('cdc_leftovers').values({
    id: randomId('cdc'),
    connection_id: connection.id,
    mark: connection.mark,
    application_id: connection.application_id,
    environment: connection.environment,
    connection_string_sealed: connection.connection_string_sealed,
    slot,
    publication,
    slot_lsn: slot === null ? null : furthest(connection, position),
    is_due: false,
    error: null,
    tried_at: 0,
    created_at: sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`
  }).execute()
}

/** Returns up to where the slot was acknowledged at most. The position may still belong to another slot. */
function furthest (
  { slot, slot_lsn: created }: Connection, position: { slot: string | null, confirmed_lsn: string } | undefined
): string | null {
  if (created === null || position?.slot !== slot) return created
  return parseLsn(position.confirmed_lsn) > parseLsn(created) ? position.confirmed_lsn : created
}

/**
 * Records everything that a connection created as due for cleanup, in the transaction that deletes the connection. Pass
 * the current time of the shared clock as `triedAt` to drop it in the same request.
 */
export async function recordDueLeftovers (
  trx: Transaction<Database>, connection: Connection, triedAt = 0
): Promise<LeftoverRow[]> {
  await recordLeftovers(trx, connection, { slot: true, publication: true })
  return await trx.updateTable('cdc_leftovers').set({ is_due: true, tried_at: triedAt }).where(
    'connection_id', '=', connection.id
  ).where('is_due', '=', false).returningAll().execute()
}

/** Calls `recordDueLeftovers` for all connections of an application. */
export async function recordLeftoversOf (trx: Transaction<Database>, applicationId: string): Promise<void> {
  const connections = await trx.selectFrom('cdc_connections').selectAll().where('application_id', '=', applicationId)
    .forUpdate().execute()
  for (const connection of connections) await recordDueLeftovers(trx, connection)
}

/**
 * Drops what connections left in databases. A leftover slot keeps its database from removing WAL, so attempts continue,
 * and the connection reports them.
 */
export function createSlotCleanup ({ db, pool, encryption, threads, retryMs, now, log }: SlotCleanupOptions) {
  /** Claims the next due leftover for the duration of an attempt. */
  async function take (): Promise<LeftoverRow | undefined> {
    const time = now()
    return await db.updateTable('cdc_leftovers').set({ tried_at: time })
      .where(
        'id',
        'in',
        due =>
          due.selectFrom('cdc_leftovers').select('id').where('is_due', '=', true).where('tried_at', '<', time - retryMs)
            .orderBy('tried_at').limit(1).forUpdate().skipLocked()
      )
      .returningAll().executeTakeFirst()
  }

  async function attempt (row: LeftoverRow, signal: AbortSignal | undefined): Promise<Leftover[]> {
    const parts = partsOf(row)
    try {
      const connectionString = encryption.decrypt(
        row.connection_string_sealed, sealedPlaces.connection(row.connection_id)
      )
      return await threads.within(row.application_id, connectionString, async client => {
        const system = await readSystemIdentifier(client)
        const results: Leftover[] = []
        const session = await readSessionMark(pool, row.connection_id)
        for (const part of parts) {
          results.push(await dropPart(client, part, { system, session }).catch(error => failed(part, error as Error)))
        }
        return results
      }, signal)
    } catch (error) {
      return parts.map(part => failed(part, error as Error))
    }
  }

  async function dropPart (
    client: SourceClient, { name, what, sql, positionOf, drop }: Part,
    { system, session }: { system: string, session: string }
  ): Promise<Leftover> {
    const position = await positionOf(client)
    const user = position &&
      await db.selectFrom('cdc_positions').select('connection_id').where('system_identifier', '=', system).where(eb =>
        eb.and(position)
      ).executeTakeFirst()
    if (user !== undefined) return { name, status: 'kept', message: `Another connection uses the ${what}`, sql }
    if (await drop(client, session) === 'foreign') {
      return { name, status: 'kept', message: `The ${what} of that name was not created by this connection`, sql }
    }
    return { name, status: 'dropped', message: `The ${what} was dropped` }
  }

  /** Reports what could not be dropped in its result, and never throws for it. An aborted attempt does not count. */
  async function drop (row: LeftoverRow, signal?: AbortSignal): Promise<Leftover[]> {
    const results = await attempt(row, signal)
    if (signal?.aborted === true) return results
    const left = results.filter(({ status }) => status === 'failed')
    const error = left[0]?.message ?? null
    await db.updateTable('cdc_leftovers').set({ error }).where('id', '=', row.id).execute()
    if (error !== null && row.error === null) {
      log.warn({ connectionId: row.connection_id, leftovers: left }, 'cdc.left_behind')
    }
    return results
  }

  return {
    drop,

    /**
     * Drops everything that is due. Includes leftovers that a request has already dropped, because a reader that had
     * not noticed may have created them again.
     */
    async dropDue (signal: AbortSignal): Promise<void> {
      for (let row; !signal.aborted && (row = await take()) !== undefined;) {
        const results = await drop(row, signal)
        const left = results.filter(({ status }) => status === 'failed')
        if (signal.aborted && left.length > 0) return
        const kept = results.filter(({ status }) => status === 'kept')
        if (kept.length > 0 && left.length === 0) {
          log.warn({ connectionId: row.connection_id, leftovers: kept }, 'cdc.leftovers_kept')
        }
        const isGivenUp = left.length > 0 && row.created_at < now() - giveUpAfterMs
        if (isGivenUp) log.error({ connectionId: row.connection_id, leftovers: left }, 'cdc.left_for_good')
        if (isGivenUp || left.length === 0) await db.deleteFrom('cdc_leftovers').where('id', '=', row.id).execute()
      }
    },

    /** Lists what could not be dropped yet of a scope's earlier connections. */
    async list ({ applicationId, environment }: Scope): Promise<Leftover[]> {
      const rows = await db.selectFrom('cdc_leftovers').selectAll().where('application_id', '=', applicationId).where(
        'environment', '=', environment
      )
        .where('is_due', '=', true).where('error', 'is not', null).orderBy('created_at').execute()
      return rows.flatMap(row =>
        partsOf(row).map(({ name, sql }): Leftover => ({ name, status: 'failed', message: row.error as string, sql }))
      )
    }
  }
}
export type SlotCleanup = ReturnType<typeof createSlotCleanup>

interface Part {
  name: Leftover['name']
  what: string
  sql: string
  /** Returns what a position that uses this has in common with it; undefined when it does not exist. */
  positionOf (client: SourceClient): Promise<{ slot: string } | { publication_oid: number } | undefined>
  /** Does not touch what the connection did not create. */
  drop (client: SourceClient, session: string): Promise<'dropped' | 'foreign'>
}

function partsOf ({ mark, slot, slot_lsn: lsn, publication }: LeftoverRow): Part[] {
  const parts: Part[] = []
  if (slot !== null) {
    const record: Omit<SlotRecord, 'session'> = { name: slot, isMarked: carriesMark(slot, mark), lsn }
    parts.push({
      name: 'slot',
      what: 'replication slot',
      sql: dropSlotSql(slot),
      positionOf: async () => ({ slot }),
      drop: (client, session) => dropSlot(client, { ...record, session })
    })
  }
  if (publication !== null) {
    const sql = dropPublicationSql(publication)
    parts.push({
      name: 'publication',
      what: 'publication',
      sql,
      async positionOf (client) {
        const found = await readPublication(client, publication)
        return found && { publication_oid: found.oid }
      },
      async drop (client) {
        const found = await readPublication(client, publication)
        if (found !== undefined && !isOwnPublication(publication, found, mark)) return 'foreign'
        await client.query(sql)
        return 'dropped'
      }
    })
  }
  return parts
}

const failed = ({ name, what, sql }: Part, { message }: Error): Leftover => ({
  name,
  status: 'failed',
  message: `The ${what} could not be dropped: ${message}`,
  sql
})
