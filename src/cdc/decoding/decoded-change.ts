import type { Pgoutput } from 'pg-logical-replication'
import type { Operation } from '../../../schemas/database.ts'
import { MissingColumnError } from '../mappings/conditions.ts'
import { missing, unavailable, type EventField, type RowChange, type Values } from '../mappings/row-change.ts'
import type { Relation } from './relations.ts'
import { Undecodable, UndecodableError } from './text-decoder.ts'

export type RowMessage = Pgoutput.MessageInsert | Pgoutput.MessageUpdate | Pgoutput.MessageDelete

/** The transaction of a change, shared by all its changes. */
export interface Transaction {
  /** In PostgreSQL's form. */
  readonly lsn: string
  readonly commitLsn: bigint
  readonly committedAt: number
  readonly xid: number
}

type Text = string | Undecodable | null | undefined
type Tuple = Record<string, Text>

/**
 * A change from the stream. Decodes values on demand, because most are not needed. Compares texts instead of values,
 * because equal texts of one type are equal values.
 */
export class DecodedChange implements RowChange {
  readonly operation: Operation
  readonly row: Values
  readonly old: Values | undefined
  readonly #new: Tuple | null
  readonly #old: Tuple | null
  readonly #key: Tuple | null
  readonly #relation: Relation
  readonly #transaction: Transaction

  constructor (message: RowMessage, relation: Relation, transaction: Transaction) {
    this.operation = message.tag
    this.#relation = relation
    this.#transaction = transaction
    this.#new = message.tag === 'delete' ? null : message.new
    this.#old = message.tag === 'insert' ? null : message.old
    this.#key = message.tag === 'insert' ? null : message.key
    this.old = message.tag === 'insert'
      ? undefined
      : {
          columns: relation.columns, get: column => this.#value(column, this.#oldText(column)),
          isNull: column => this.#oldText(column) === null
        }
    this.row = message.tag === 'delete'
      ? this.old as Values
      : {
          columns: relation.columns, get: column => this.#value(column, this.#new?.[column]),
          isNull: column => this.#new?.[column] === null
        }
  }

  changed (column: string): boolean | undefined {
    if (this.operation !== 'update') return true
    if (!this.#relation.decoders.has(column)) {
      if (this.#relation.generated.has(column)) return undefined
      throw new MissingColumnError(column)
    }
    const [before, after] = [this.#oldText(column), this.#new?.[column]]
    // The stream omits a TOASTed value only if it has not changed.
    if (after === undefined) return false
    if (before instanceof Undecodable) return !before.equals(after)
    return before === undefined ? undefined : before !== after
  }

  get event (): Record<EventField, string | number> {
    const { table: { schema, name } } = this.#relation
    const { lsn, xid, committedAt } = this.#transaction
    return { operation: this.operation, table: name, schema, lsn, xid, committedAt }
  }

  /**
   * The primary key: its text, or a JSON array of texts if it has several columns. Null when there is none or when it
   * is unknown.
   */
  get key (): string | null {
    const texts = this.#relation.primaryKey.map(column =>
      this.#new === null ? this.#oldText(column) : this.#new[column]
    )
    for (const [i, text] of texts.entries()) {
      if (text instanceof Undecodable) throw new UndecodableError(this.#relation.primaryKey[i] as string, text)
    }
    if (texts.length === 0 || !texts.every(text => typeof text === 'string')) return null
    return texts.length === 1 ? texts[0] as string : JSON.stringify(texts)
  }

  /** Returns undefined when the old value is unknown. Without an old key in the stream, the key has not changed. */
  #oldText (column: string): Text {
    if (this.#old !== null) {
      const text = this.#old[column]
      return text === null && this.#relation.isPartlySeen ? undefined : text
    }
    if (this.#key !== null) return this.#key[column]
    return this.operation === 'update' && this.#relation.identity.has(column) ? this.#new?.[column] : undefined
  }

  #value (column: string, text: Text): unknown {
    const decode = this.#relation.decoders.get(column)
    if (decode === undefined) return this.#relation.generated.has(column) ? unavailable : missing
    if (text === undefined) return unavailable
    if (text instanceof Undecodable) throw new UndecodableError(column, text)
    return text === null ? null : decode(text)
  }
}
