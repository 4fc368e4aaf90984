import type { Scope } from '../../../schemas/scope.ts'
import { insertDeliveryRows, type DeliveryRow } from '../mappings/mapping-log.ts'
import { addTable, isPublished } from '../source/publication.ts'
import { SourceError, toSourceError, type SourceClient } from '../source/source.ts'
import { tableKey, tableText, type TableName } from '../mappings/table-name.ts'
import type { ActiveMappings } from '../decoding/active-mappings.ts'
import type { FailureCode } from '../decoding/chunk.ts'
import type { ActiveMapping } from '../decoding/mapping-snapshot.ts'
import type { ReaderParts } from './reader-parts.ts'

export interface PublicationMonitorOptions extends Pick<ReaderParts, 'pool' | 'metrics' | 'log' | 'onMappingFailed'> {
  scope: Scope
  connectionId: string
  publication: string
}

/**
 * Keeps the tables of mappings in the publication. If one is missing while the stream runs, it was removed from the
 * publication, or dropped and created again, and changes committed to it meanwhile are lost. The loss is recorded
 * before the table is added again.
 */
export class PublicationMonitor {
  readonly #options: PublicationMonitorOptions
  /** Tables whose absence was recorded and continues, so that each absence is recorded once. */
  readonly #told = new Set<string>()

  constructor (options: PublicationMonitorOptions) {
    this.#options = options
  }

  /**
   * Adds missing tables. With `isNew`, the stream has not started and has missed nothing. A table that cannot be added
   * does not affect others; the status of its mapping gives the reason.
   */
  async look (client: SourceClient, mappings: ActiveMappings, isNew: boolean): Promise<void> {
    const { publication } = this.#options
    const { revision, byTable, tables } = await mappings.current()
    for (const table of tables) {
      const key = tableKey(table)
      if (await isPublished(client, publication, table) !== false) {
        this.#told.delete(key)
        continue
      }
      // Meanwhile its mapping may have been disabled and the table removed on purpose.
      if (!isNew && (await mappings.current()).revision !== revision) return
      const isTold = this.#told.has(key)
      if (!isNew && !isTold) {
        await this.#tell(client, table, byTable.get(key) ?? [])
        this.#told.add(key)
      }
      if (await this.#add(client, table, isTold)) this.#told.delete(key)
    }
  }

  async #add (client: SourceClient, table: TableName, isTold: boolean): Promise<boolean> {
    const { publication, connectionId, log } = this.#options
    try {
      await addTable(client, publication, table)
      log.warn({ connectionId, table: tableText(table) }, 'cdc.table_published_late')
      return true
    } catch (error) {
      const err = toSourceError(error)
      if (err instanceof SourceError && err.code === 'SOURCE_UNREACHABLE') throw err
      if (!isTold) log.warn({ err, connectionId, table: tableText(table) }, 'cdc.table_not_published')
      return false
    }
  }

  async #tell (client: SourceClient, table: TableName, mappings: readonly ActiveMapping[]): Promise<void> {
    const { pool, scope, connectionId, metrics, log, onMappingFailed } = this.#options
    const { rows: [server] } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
    const now = Date.now()
    const code: FailureCode = 'TABLE_UNPUBLISHED'
    const rows = mappings.map(({ id, subscriptionId, compiled }): DeliveryRow => ({
      mappingId: id,
      subscriptionId,
      status: 'failed',
      topic: compiled.definition.topic,
      table: tableText(table),
      events: 0,
      code,
      message: `${tableText(table)} was missing from the publication: changes of it are lost until it is added again`,
      lsn: server?.lsn as string,
      xid: 0,
      committedAt: now
    }))
    await pool.query(insertDeliveryRows(scope, rows, now))
    for (const row of rows) {
      metrics.cdcMappingFailures.inc({ code })
      onMappingFailed?.(scope, row)
    }
    log.error(
      { connectionId, ...scope, table: tableText(table), mappings: rows.map(row => row.mappingId), code },
      'cdc.changes_lost'
    )
  }
}
