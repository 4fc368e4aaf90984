import type { ListQuery, ListShape } from '../../../schemas/lists.ts'
import { decodeCursor, encodeCursor, type CursorPart, type CursorType, type PageOf } from '../paging.ts'

/** The values of an item by the name of its field. */
export type ItemValues<Name extends string> = Readonly<Record<Name, string | number | null>>

export interface ItemList<T, Sort extends string, Search extends string> {
  valuesOf (item: T): ItemValues<Sort | Search>
  /** A value that no other item has. It decides between items that are equal in the field of `sort`. */
  idOf (item: T): string
  /** Ends pages of large items early: the size of an item, and the limit of a page with more than one. */
  size?: { of (item: T): number, max: number }
}

/**
 * Returns a page of items in memory, with the same parameters as lists in the database: `readPage` explains them. Texts
 * are sorted by their characters.
 */
export function pageOfItems<T, Sort extends string, Search extends string> (
  items: Iterable<T>,
  shape: ListShape<Sort, Search>,
  { q, sort = shape.sorts[0], order = shape.order, limit = 100, cursor }: ListQuery<Sort>,
  { valuesOf, idOf, size }: ItemList<T, Sort, Search>
): PageOf<T> {
  const direction = order === 'asc' ? 1 : -1
  const compare = ([a, idA]: Key, [b, idB]: Key): number =>
    a === b
      ? direction * compareValues(idA, idB)
      : a === null ? 1 : b === null ? -1 : direction * compareValues(a, b)
  const after = cursor === undefined ? undefined : keyOf(cursor)
  const found: { item: T, key: Key }[] = []
  for (const item of items) {
    const values = valuesOf(item)
    const key: Key = [values[sort], idOf(item)]
    const isFound = q === undefined || shape.search.some(name => containsText(values[name], q))
    if (isFound && (after === undefined || compare(key, after) > 0)) found.push({ item, key })
  }
  found.sort((a, b) => compare(a.key, b.key))
  const sizes = size === undefined ? [] : found.slice(0, limit).map(({ item }) => size.of(item))
  const count = size === undefined ? limit : countThatFits(sizes, size.max)
  const last = found.length > count ? found[count - 1] : undefined
  return { items: found.slice(0, count).map(({ item }) => item), nextCursor: last && encodeCursor(last.key) }
}

/** Returns how many of the first sizes fit together: at least one. */
function countThatFits (sizes: readonly number[], max: number): number {
  let sum = 0
  const end = sizes.findIndex((size, i) => (sum += size) > max && i > 0)
  return end === -1 ? sizes.length : end
}

type Key = [value: CursorPart, id: string]

const shapes: CursorType[][] = [['string?', 'string'], ['number', 'string']]

/** The types of a cursor's parts follow from its list; a cursor of another list is rejected before it comes here. */
function keyOf (cursor: string): Key {
  const [value = null, id] = decodeCursor(cursor, ...shapes)
  return [value, String(id)]
}

const compareValues = (a: string | number, b: string | number): number => a < b ? -1 : a > b ? 1 : 0

/** Returns whether a value contains a text, in any case. */
export const containsText = (value: string | number | null, text: string): boolean =>
  value !== null && String(value).toLowerCase().includes(text.toLowerCase())
