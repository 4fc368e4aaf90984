import type { Operation } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { PublicError } from '../../errors.ts'
import type { EventDraft } from '../../events/envelope.ts'
import type { Intent, PositionStep } from '../../events/intent.ts'
import { topicNotFound } from '../../topics/topics.ts'
import { MissingColumnError } from '../conditions.ts'
import { insertDeliveryRows, type DeliveryRow } from '../delivery-log-rows.ts'
import { tableText } from '../table-name.ts'
import type { ActiveMapping } from './active-mappings.ts'
import type { DecodedChange, Transaction } from './decoded-change.ts'

interface Prepared { mapping: ActiveMapping, transaction: Transaction, draft: Omit<EventDraft, 'schemaVersion'>, payload: unknown }

/** Why a change that a mapping wanted is no event; beside those of errors.ts. */
export type FailureCode = 'COLUMN_MISSING' | 'CONDITION_UNKNOWN' | 'MAPPING_FAILED' | 'NOT_STORABLE' | 'TABLE_UNPUBLISHED'

const messageMax = 500

/**
 * Row changes that follow each other in a stream, with what the mappings make of them: one intent, which commits with its
 * place in the stream. What one mapping cannot do, or its topic does not take, is counted against that mapping alone.
 */
export class Chunk {
  readonly #prepared: Prepared[] = []
  readonly #failures = new Tally()
  readonly #topics = new Set<string>()
  #lastMeta: { mapping: ActiveMapping, transaction: Transaction, operation: Operation, text: string } | undefined
  bytes = 0
  /** The end of the last transaction that ends in it. */
  endLsn: bigint | undefined
  /** How many transactions end in it. */
  transactions = 0
  changes = 0

  get isEmpty (): boolean { return this.#prepared.length === 0 && this.#failures.isEmpty }

  add (change: DecodedChange, mapping: ActiveMapping, transaction: Transaction): void {
    try {
      const evaluation = mapping.compiled.evaluate(change)
      if (!evaluation.matched) {
        if (evaluation.reason === 'unknown') this.#failures.count(mapping, transaction, 'failed', 'CONDITION_UNKNOWN', 'The condition asks for values that the stream does not carry')
        return
      }
      const { payload, text, unavailable, unverified } = evaluation
      const { topic } = mapping.compiled.definition
      const meta = this.#metaOf(change, mapping, transaction, unavailable, unverified)
      this.#topics.add(topic)
      this.bytes += text.length + meta.length
      this.#prepared.push({ mapping, transaction, payload, draft: { topic, type: 'database.event', source: 'database', key: change.key, payload: text, meta } })
    } catch (error) {
      this.#failures.count(mapping, transaction, 'failed', codeOf(error), (error as Error).message)
    }
  }

  /** Changes that follow each other mostly differ in nothing that it tells. */
  #metaOf ({ operation }: DecodedChange, mapping: ActiveMapping, transaction: Transaction, unavailable: string[], unverified: string[]): string {
    const isPlain = unavailable.length === 0 && unverified.length === 0
    const last = this.#lastMeta
    if (isPlain && last?.mapping === mapping && last.transaction === transaction && last.operation === operation) return last.text
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

  /** In place of its events: PostgreSQL refuses them, and would for ever. */
  giveUp (reason: string): void {
    for (const { mapping, transaction } of this.#prepared.splice(0)) this.#failures.count(mapping, transaction, 'failed', 'NOT_STORABLE', reason)
  }

  toIntent (scope: Scope, position: PositionStep): Intent<DeliveryRow[]> {
    let rows: DeliveryRow[] = []
    return {
      scope,
      position,
      topics: [...this.#topics],
      bytes: this.bytes,
      apply: batch => {
        const tally = this.#failures.copy()
        const events: EventDraft[] = []
        for (const { mapping, transaction, draft, payload } of this.#prepared) {
          try {
            if (!batch.isRegistered(draft.topic)) throw topicNotFound(draft.topic)
            events.push({ ...draft, schemaVersion: batch.check(draft.topic, payload, '/payload') })
            tally.count(mapping, transaction, 'delivered')
          } catch (error) {
            if (!(error instanceof PublicError)) throw error
            tally.count(mapping, transaction, 'rejected', error.code, error.message)
          }
        }
        rows = tally.rows()
        return { events, ...(rows.length > 0 && { also: [insertDeliveryRows(scope, rows, batch.now)] }) }
      },
      answer: () => rows
    }
  }
}

function codeOf (error: unknown): string {
  if (error instanceof MissingColumnError) return 'COLUMN_MISSING' satisfies FailureCode
  return error instanceof PublicError ? error.code : 'MAPPING_FAILED' satisfies FailureCode
}

/** Counts by transaction, mapping and outcome, so that a mapping that fails on a million rows is a line and not a million. */
class Tally {
  #rows = new Map<string, DeliveryRow>()
  /** What was counted last: mostly the next is the same. */
  #last: { mapping: ActiveMapping, transaction: Transaction, row: DeliveryRow } | undefined

  get isEmpty (): boolean { return this.#rows.size === 0 }

  count (mapping: ActiveMapping, transaction: Transaction, status: DeliveryRow['status'], code: string | null = null, message: string | null = null): void {
    const last = this.#last
    if (last?.mapping === mapping && last.transaction === transaction && last.row.status === status && last.row.code === code) {
      last.row.events++
      return
    }
    const { id, subscriptionId, compiled } = mapping
    const { lsn, xid, committedAt } = transaction
    const key = `${lsn} ${id} ${status} ${code ?? ''}`
    const row = this.#rows.get(key) ?? {
      mappingId: id,
      subscriptionId,
      status,
      topic: compiled.definition.topic,
      table: tableText(compiled.table),
      events: 0,
      code,
      message: message?.slice(0, messageMax).replaceAll('\0', '') ?? null,
      lsn,
      xid,
      committedAt
    }
    row.events++
    this.#rows.set(key, row)
    this.#last = { mapping, transaction, row }
  }

  copy (): Tally {
    const copy = new Tally()
    copy.#rows = new Map([...this.#rows].map(([key, row]) => [key, { ...row }]))
    return copy
  }

  rows (): DeliveryRow[] {
    return [...this.#rows.values()]
  }
}
