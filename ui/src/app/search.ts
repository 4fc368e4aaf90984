/* Readers of search parameters. An invalid value becomes undefined, so that an old link still opens. */

export const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined

export function integer (value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}

export const flag = (value: unknown): true | undefined => (value === true || value === 'true' ? true : undefined)

export const oneOf =
  <const Values extends readonly string[]>(values: Values) =>
    (value: unknown): Values[number] | undefined =>
      values.find(known => known === value)

export interface ListSearch {
  q?: string
  sort?: string
  order?: 'asc' | 'desc'
  open?: string
}

/**
 * The search parameters of a list: its filter and sorting, and the row whose details are open. The names of a page's
 * search type are optional, so that links can leave them out.
 */
export const listSearch = (search: Record<string, unknown>): ListSearch => ({
  q: text(search['q']),
  sort: text(search['sort']),
  order: oneOf(['asc', 'desc'])(search['order']),
  open: text(search['open'])
})

const rangeNames = ['15m', '1h', '6h', '24h', '7d', '30d'] as const
export interface RangeSearch {
  range?: (typeof rangeNames)[number]
  from?: number
  to?: number
}

/** A range of times: `range` counts back from now, or `from` and `to` in epoch milliseconds. */
export const rangeSearch = (search: Record<string, unknown>): RangeSearch => ({
  range: oneOf(rangeNames)(search['range']),
  from: integer(search['from']),
  to: integer(search['to'])
})
