import type { Scope } from '../../../schemas/scope.ts'
import { insertDeliveryRows, type DeliveryRow } from '../mappings/mapping-log.ts'
import { addTable, isPublished } from '../source/publication.ts'
import { SourceError, toSourceError, type SourceClient } from '../source/source.ts'
import { tableKey, tableText, type TableName } from '../mappings/table-name.ts'
import type { ActiveMappings } from '../decoding/active-mappings.ts'
import type { FailureCode } from '../decoding/chunk.ts'
import type { ActiveMapping } from '../decoding/mapping-snapshot.ts'
import type { ReaderParts } from './reader-parts.ts'

export interface TableCareOptions extends Pick<ReaderParts, 'pool' | 'metrics' | 'log' | 'onMappingFailed'> {
  scope: Scope
  connectionId: string
  publication: string
}

/**
 * Keeps in the publication what mappings want. A table that is missing from it under a running stream was taken out by
 * somebody, or dropped and made again: what was committed to it meanwhile is lost, and that is said before it is put
 * back.
 */
export class TableCare {
  readonly #options: TableCareOptions
  /** Whose absence was told and lasts, so that it is told once. */
  readonly #told = new Set<string>()

  constructor (options: TableCareOptions) {
    this.#options = options
  }

  /**
   * `isNew`: the stream does not run yet, and has missed nothing. A table that cannot be added stands alone; the
   * mapping's status says why.
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
      // In between it may have been switched off and taken out with good reason, and be about to come back.
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
      message: `${tableText(table)} was missing from the publication: what is committed to it until it is back is lost`,
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
