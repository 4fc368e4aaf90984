import type { DeliveryRow } from '../mappings/mapping-log.ts'
import type { MappingReference } from './mapping-snapshot.ts'

export interface TransactionReference { lsn: string, xid: number, committedAt: number }

const messageMax = 500

/** Counts by transaction, mapping and outcome, so that a mapping that fails on a million rows makes one log entry. */
export class Tally {
  readonly #rows: Map<string, DeliveryRow>
  /** The entry that was counted last; the next count mostly goes to the same one. */
  #last: { mapping: MappingReference, transaction: TransactionReference, row: DeliveryRow } | undefined

  /** Starts from copies of rows that were counted before. */
  constructor (rows: readonly DeliveryRow[] = []) {
    this.#rows = new Map(rows.map(row => [keyOf(row.mappingId, row.lsn, row.status, row.code), { ...row }]))
  }

  get isEmpty (): boolean { return this.#rows.size === 0 }

  count (
    mapping: MappingReference, transaction: TransactionReference, status: DeliveryRow['status'],
    code: string | null = null, message: string | null = null
  ): void {
    const last = this.#last
    if (
      last?.mapping === mapping && last.transaction === transaction && last.row.status === status &&
      last.row.code === code
    ) {
      last.row.events++
      return
    }
    const { id, subscriptionId, topic, table } = mapping
    const { lsn, xid, committedAt } = transaction
    const key = keyOf(id, lsn, status, code)
    const text = message?.slice(0, messageMax).replaceAll('\0', '') ?? null
    const row = this.#rows.get(key) ??
      { mappingId: id, subscriptionId, status, topic, table, events: 0, code, message: text, lsn, xid, committedAt }
    row.events++
    this.#rows.set(key, row)
    this.#last = { mapping, transaction, row }
  }

  rows (): DeliveryRow[] {
    return [...this.#rows.values()]
  }
}

const keyOf = (mappingId: string, lsn: string, status: string, code: string | null): string =>
  `${lsn} ${mappingId} ${status} ${code ?? ''}`
