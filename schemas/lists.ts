import { Type } from '@sinclair/typebox'
import { Enum, Page, Text } from './common.ts'

const orders = ['asc', 'desc'] as const
export type Order = typeof orders[number]
/**
 * Declared here alone: the first declaration describes the component of the OpenAPI document, and which of several is
 * the first depends on the order in which modules are loaded.
 */
export const OrderName = Enum('Order', orders, { description: '`asc`: ascending. `desc`: descending.' })

/** Limits `q`, so that comparing it with every name of a list stays cheap. */
export const searchLengthMax = 100

/** The parameters of a list that callers choose from: the fields of `sort`, and those that `q` searches. */
export interface ListShape<Sort extends string = string, Search extends string = never> {
  /** The plural name of the items. */
  readonly items: string
  /** The first one is the default. */
  readonly sorts: readonly [Sort, ...Sort[]]
  /** The default order, for every field. */
  readonly order: Order
  readonly search: readonly Search[]
}

/** The part of a list's query that is the same for all lists. */
export interface ListQuery<Sort extends string = string> {
  q?: string | undefined
  sort?: Sort | undefined
  order?: Order | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

/** Declares a list. `src/foundation/lists/` reads its pages. */
export function listShape<const Sort extends string, const Search extends string = never> (
  items: string,
  { sorts, order, search = [] }: {
    sorts: readonly [Sort, ...Sort[]], order: Order, search?: readonly Search[]
  }
): ListShape<Sort, Search> {
  return { items, sorts, order, search }
}

/** Returns the query parameters of a list without `q`: `sort`, `order`, `limit` and `cursor`. */
export const sortFields = <Sort extends string>({ items, sorts, order }: ListShape<Sort, string>) => ({
  sort: Type.Optional(Type.Unsafe<Sort>({
    type: 'string',
    enum: [...sorts],
    default: sorts[0],
    description: `The field that the ${items} are sorted by. Those without a value come last.`,
    examples: [sorts[0]]
  })),
  order: Type.Optional({ ...OrderName, default: order, description: 'The direction of `sort`.', examples: [order] }),
  ...Page
})

/** Returns the query parameters that every list has: `q`, `sort`, `order`, `limit` and `cursor`. */
export const listFields = <Sort extends string>(shape: ListShape<Sort, string>, example: string) => ({
  q: Type.Optional(Text(searchLengthMax, {
    description: `Only ${shape.items} whose ${named(shape.search)} contains this text, in any case. A page may have ` +
      'fewer items than `limit`: there are more pages while `X-Next-Cursor` is present.',
    examples: [example]
  })),
  ...sortFields(shape)
})

/** A limit of a time span; both limits of a list are optional. */
export const TimeLimit = (description: string) =>
  Type.Optional(Type.Integer({
    minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: `${description} Epoch milliseconds.`,
    examples: [1705312800000]
  }))

const named = (fields: readonly string[]): string =>
  fields.map(field => `\`${field}\``).join(', ').replace(/, (?=[^,]*$)/, ' or ')
