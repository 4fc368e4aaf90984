import { sql, type Expression, type Kysely, type RawBuilder, type SelectQueryBuilder, type SqlBool } from 'kysely'
import { unprepared } from '../../../db/connection.ts'
import type { ListQuery } from '../../../schemas/lists.ts'
import { encodeCursor, type CursorPart, type PageOf } from '../paging.ts'
import { afterCursor, type List, type Ordering } from './list.ts'

/**
 * The number of rows that one page examines for `q` and for filters. If too few of them match, the page ends early, and
 * its cursor leads on from the last one. So the cost of every page is limited, also in a long list (ADR 15).
 */
export const examinedMax = 20_000

export interface PageRequest<Source, Tables extends keyof Source, Row, T> {
  /** Selects the rows of the list by conditions that its indexes answer, without order and limit. */
  from: SelectQueryBuilder<Source, Tables, Row>
  /** More of these conditions. */
  where?: readonly (Expression<SqlBool> | undefined)[]
  /** Conditions that are examined row by row, because no index in the order of the list answers them. */
  filters?: readonly (Expression<SqlBool> | undefined)[]
  /** Ends pages of large items early: the size of a row in bytes, and the limit of a page with more than one. */
  size?: { bytes: RawBuilder<unknown>, max: number }
  toItem: (row: Row) => T
}

/** The columns that a page adds to its rows. */
interface Place {
  /** Whether the row matches. The last row that was examined is returned in any case. */
  listPasses: boolean | null
  listPlace: number
  /** The number of rows before the page was cut by size. */
  listFound: number
  [key: `listKey${number}`]: CursorPart
}

/**
 * Reads a page. Each item that does not change meanwhile is on exactly one page, also while others are inserted,
 * changed and deleted. Throws ValidationError for a cursor of another list.
 */
export async function readPage<DB, Source, Tables extends keyof Source, Row, T, Sort extends string> (
  db: Kysely<DB>,
  list: List<Sort>,
  query: ListQuery<Sort>,
  { from, where = [], filters = [], size, toItem }: PageRequest<Source, Tables, Row, T>
): Promise<PageOf<T>> {
  const { q, limit = 100, cursor } = query
  const ordering = list.ordering(query)
  const conditions = [...filters, q === undefined ? undefined : list.contains(q)].filter(one => one !== undefined)
  const examined = conditions.length === 0 ? limit + 1 : Math.max(examinedMax, limit + 1)

  let scan = from.limit(examined)
  for (const condition of where) if (condition !== undefined) scan = scan.where(condition)
  if (cursor !== undefined) scan = scan.where(afterCursor(ordering, cursor))
  for (const key of directed(ordering, i => ordering.keys[i]?.expression)) scan = scan.orderBy(key)
  const candidates = scan.select([
    ...ordering.keys.map(({ expression }, i) => expression.as(`listKey${i}`)),
    (conditions.length === 0 ? sql`true` : sql`(${sql.join(conditions, sql` and `)})`).as('listPasses')
  ])

  // The second limit changes no row. Without it, the planner drops plans that return their first rows early.
  const order = sql.join(directed(ordering, i => sql.ref(`listKey${i}`)))
  const page = sql`
    select * from (
      select *, row_number() over (order by ${order}) as "listPlace" from ${candidates} examined
      limit ${examined}
    ) placed
    where "listPasses" or "listPlace" = ${examined} order by ${order} limit ${limit + 1}`
  const { rows } = await once(size === undefined ? page : cutBySize(page, size)).execute(db)
  return toPage(rows as (Row & Place)[], { limit, examined, keys: ordering.keys.length, toItem })
}

/** The statement without its own name: it is planned for the values of each request. */
const once = (statement: RawBuilder<unknown>) => sql`${unprepared} ${statement}`

/** Returns the parts of ORDER BY. */
function directed ({ order, keys }: Ordering, column: (i: number) => RawBuilder<unknown> | undefined) {
  return keys.map(({ type }, i) => {
    const direction = type.endsWith('?') ? `${order} nulls last` : order
    return sql`${column(i)} ${sql.raw(direction)}`
  })
}

/** Keeps the rows before which there is room, so at least one. */
const cutBySize = (page: RawBuilder<unknown>, { bytes, max }: { bytes: RawBuilder<unknown>, max: number }) => sql`
  select * from (
    select *, sum("listBytes") over (order by "listPlace") - "listBytes" as "listBytesBefore",
      count(*) over () as "listFound"
    from (select *, ${bytes} as "listBytes" from (${page}) page) measured
  ) cut where "listBytesBefore" < ${max} order by "listPlace"`

function toPage<Row, T> (
  rows: readonly (Row & Place)[],
  { limit, examined, keys, toItem }: { limit: number, examined: number, keys: number, toItem: (row: Row) => T }
): PageOf<T> {
  const found = rows.filter(({ listPasses }) => listPasses)
  const isCut = rows.length < (rows[0]?.listFound ?? 0)
  const last = found.length > limit
    ? found[limit - 1]
    : isCut || rows.at(-1)?.listPlace === examined ? rows.at(-1) : undefined
  return {
    items: found.slice(0, limit).map(toItem),
    nextCursor: last && encodeCursor(Array.from({ length: keys }, (_, i) => last[`listKey${i}`] ?? null))
  }
}
