import type { Operation } from '../../../schemas/database.ts'
import { PublicError } from '../../errors.ts'
import type { EventDraft } from '../../events/envelope.ts'
import { MissingColumnError } from '../mappings/conditions.ts'
import type { DeliveryRow } from '../mappings/mapping-log.ts'
import { tableText } from '../mappings/table-name.ts'
import type { DecodedChange, Transaction } from './decoded-change.ts'
import type { ActiveMapping, MappingReference } from './mapping-snapshot.ts'
import type { OverlongChange } from './pgoutput-parser.ts'
import { Tally, type TransactionReference } from './tally.ts'
import { UndecodableError } from './text-decoder.ts'

export interface PreparedChange {
  mapping: MappingReference
  transaction: TransactionReference
  draft: Omit<EventDraft, 'schemaVersion'>
}

/** The result of a chunk: only texts and numbers, so that it can cross threads. */
export interface DraftedChunk {
  prepared: PreparedChange[]
  failures: DeliveryRow[]
  topics: string[]
  bytes: number
  changes: number
  transactions: number
}

/** Why a change made no event though a mapping applied; errors.ts has further codes. */
export type FailureCode =
  | 'COLUMN_MISSING'
  | 'CONDITION_UNKNOWN'
  | 'MAPPING_FAILED'
  | 'NOT_STORABLE'
  | 'ROW_TOO_LARGE'
  | 'ROW_UNDECODABLE'
  | 'TABLE_UNPUBLISHED'
  | 'VALUE_UNDECODABLE'

/**
 * Consecutive row changes of a stream and the events that the mappings make of them. They form one intent, which
 * commits together with the position. An error of a mapping, or of its topic, counts against that mapping alone.
 */
export class Chunk {
  readonly #prepared: PreparedChange[] = []
  readonly #failures = new Tally()
  readonly #topics = new Set<string>()
  #lastMeta: { mapping: ActiveMapping, transaction: Transaction, operation: Operation, text: string } | undefined
  bytes = 0
  /** The end of the last transaction that ends in the chunk. */
  endLsn: bigint | undefined
  /** How many transactions end in the chunk. */
  transactions = 0
  changes = 0

  get isEmpty (): boolean {
    return this.#prepared.length === 0 && this.#failures.isEmpty
  }

  add (change: DecodedChange, mapping: ActiveMapping, transaction: Transaction): void {
    try {
      const evaluation = mapping.compiled.evaluate(change)
      if (!evaluation.matched) {
        if (evaluation.reason === 'unknown') {
          this.#failures.count(
            mapping.reference, transaction, 'failed', 'CONDITION_UNKNOWN',
            'The condition depends on values that the stream does not carry'
          )
        }
        return
      }
      const { text, unavailable, unverified } = evaluation
      const { topic } = mapping.compiled.definition
      const meta = this.#metaOf(change, mapping, transaction, unavailable, unverified)
      this.#topics.add(topic)
      this.bytes += text.length + meta.length
      this.#prepared.push({
        mapping: mapping.reference, transaction,
        draft: { topic, type: 'database.event', source: 'database', key: change.key, payload: text, meta }
      })
    } catch (error) {
      this.#failures.count(mapping.reference, transaction, 'failed', codeOf(error), (error as Error).message)
    }
  }

  /** Counts a change whose values were not read against a mapping of its operation, which might have matched. */
  refuse ({ operation, bytes }: OverlongChange, mapping: ActiveMapping, transaction: Transaction): void {
    if (!mapping.compiled.definition.events.includes(operation)) return
    this.#failures.count(
      mapping.reference,
      transaction,
      'failed',
      'ROW_TOO_LARGE' satisfies FailureCode,
      `The row change has ${bytes} bytes and exceeds CDC_ROW_BYTES_MAX`
    )
  }

  /** Reuses the last text, because consecutive changes mostly have the same metadata. */
  #metaOf (
    { operation }: DecodedChange, mapping: ActiveMapping, transaction: Transaction, unavailable: string[],
    unverified: string[]
  ): string {
    const isPlain = unavailable.length === 0 && unverified.length === 0
    const last = this.#lastMeta
    if (isPlain && last?.mapping === mapping && last.transaction === transaction && last.operation === operation) {
      return last.text
    }
    const { lsn, xid, committedAt } = transaction
    const text = JSON.stringify({
      mappingId: mapping.id,
      table: tableText(mapping.compiled.table),
      operation,
      lsn,
      xid,
      committedAt,
      ...(unavailable.length > 0 && { unavailable }),
      ...(unverified.length > 0 && { unverified })
    })
    if (isPlain) this.#lastMeta = { mapping, transaction, operation, text }
    return text
  }

  /** Replaces the events by failures, because PostgreSQL refuses to store them. */
  giveUp (reason: string): void {
    for (const { mapping, transaction } of this.#prepared.splice(0)) {
      this.#failures.count(mapping, transaction, 'failed', 'NOT_STORABLE', reason)
    }
  }

  drafted (): DraftedChunk {
    return {
      prepared: this.#prepared, failures: this.#failures.rows(), topics: [...this.#topics], bytes: this.bytes,
      changes: this.changes, transactions: this.transactions
    }
  }
}

function codeOf (error: unknown): string {
  if (error instanceof MissingColumnError) return 'COLUMN_MISSING' satisfies FailureCode
  if (error instanceof UndecodableError) return 'VALUE_UNDECODABLE' satisfies FailureCode
  return error instanceof PublicError ? error.code : 'MAPPING_FAILED' satisfies FailureCode
}
