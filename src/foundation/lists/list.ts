import { sql, type RawBuilder } from 'kysely'
import type { ListQuery, ListShape, Order } from '../../../schemas/lists.ts'
import { decodeCursor, type CursorPart, type CursorType } from '../paging.ts'

/** A value that items are sorted by or searched in. */
export interface Column {
  readonly expression: RawBuilder<unknown>
  readonly type: CursorType
}

export const text = (name: string): Column => ({ expression: sql.ref(name), type: 'string' })
export const number = (name: string): Column => ({ expression: sql.ref(name), type: 'number' })
export const nullableText = (name: string): Column => ({ expression: sql.ref(name), type: 'string?' })
export const nullableNumber = (name: string): Column => ({ expression: sql.ref(name), type: 'number?' })
/** A text whose order does not depend on upper and lower case. */
export const foldedText = (name: string): Column => ({ expression: sql`lower(${sql.ref(name)})`, type: 'string' })

/** The columns of a list. */
export interface ListColumns<Sort extends string, Search extends string> {
  readonly columns: Readonly<Record<Sort | Search, Column>>
  /** The columns that identify an item. They decide between items that are equal in the field of `sort`. */
  readonly identity: readonly Column[]
}

/** The order of one request. */
export interface Ordering {
  readonly order: Order
  /** The columns to sort by, in one direction. Only the first may be null; items without it come last. */
  readonly keys: readonly Column[]
}

/** Connects the shape of a list with the columns of a query. */
export class List<Sort extends string = string, Search extends string = string> {
  readonly #shape: ListShape<Sort, Search>
  readonly #columns: ListColumns<Sort, Search>

  constructor (shape: ListShape<Sort, Search>, columns: ListColumns<Sort, Search>) {
    this.#shape = shape
    this.#columns = columns
  }

  ordering ({ sort = this.#shape.sorts[0], order = this.#shape.order }: ListQuery<Sort>): Ordering {
    const { columns, identity } = this.#columns
    const first = columns[sort]
    const identifies = identity.length === 1 && identity[0] === first
    return { order, keys: identifies ? [first] : [first, ...identity.filter(column => column !== first)] }
  }

  /**
   * Returns the condition that a searched column contains `q`, in any case. It compares texts and no pattern, so no
   * character of `q` has a special meaning.
   */
  contains (q: string): RawBuilder<boolean> {
    const conditions = this.#shape.search.map(name =>
      sql<boolean>`strpos(lower(${this.#columns.columns[name].expression}), lower(${q})) > 0`
    )
    return sql<boolean>`(${sql.join(conditions, sql` or `)})`
  }
}

/** Returns the condition that an item comes after the one of the cursor. Throws ValidationError. */
export function afterCursor ({ order, keys }: Ordering, cursor: string): RawBuilder<boolean> {
  const [value, ...others] = decodeCursor(cursor, keys.map(({ type }) => type))
  const [first, ...rest] = keys
  if (first === undefined || value === undefined) throw new TypeError('A list is sorted by at least one column')
  if (value === null) return sql<boolean>`(${first.expression} is null and ${isBeyond(order, rest, others)})`
  const beyond = isBeyond(order, keys, [value, ...others])
  return first.type.endsWith('?') ? sql<boolean>`(${beyond} or ${first.expression} is null)` : beyond
}

/** Compares rows, which PostgreSQL can look up in an index over the columns. */
function isBeyond (order: Order, columns: readonly Column[], values: readonly CursorPart[]): RawBuilder<boolean> {
  const [left, right] = [sql.join(columns.map(({ expression }) => expression)), sql.join(values)]
  return order === 'asc' ? sql<boolean>`(${left}) > (${right})` : sql<boolean>`(${left}) < (${right})`
}
