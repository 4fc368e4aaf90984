/* The condition of a mapping as rows, and as the JSON of `when`. */

export const operators = [
  'eq',
  'ne',
  'gt',
  'gte',
  'lt',
  'lte',
  'in',
  'notIn',
  'isNull',
  'isNotNull',
  'changed',
  'unchanged',
  'changedTo',
  'changedFrom'
] as const
export type Operator = (typeof operators)[number]

export interface Row {
  kind: 'row'
  column: string
  operator: Operator
  /** Undefined until it is filled in. A row without a value is not part of the JSON yet. */
  value: unknown
}

export interface Group {
  kind: 'group'
  join: 'and' | 'or'
  isNegated: boolean
  items: readonly Item[]
}

export type Item = Row | Group

export const noCondition: Group = { kind: 'group', join: 'and', isNegated: false, items: [] }

const withoutValue: ReadonlySet<Operator> = new Set(['isNull', 'isNotNull', 'changed', 'unchanged'])
export const needsValue = (operator: Operator): boolean => !withoutValue.has(operator)

/** Returns the JSON of a condition; undefined for rows that are not filled in and groups without others. */
export function toWhen (item: Item): Record<string, unknown> | undefined {
  if (item.kind === 'row') return rowToWhen(item)
  const parts = item.items.map(toWhen).filter(part => part !== undefined)
  const [first] = parts
  if (first === undefined) return undefined
  const joined = parts.length === 1 ? first : { [item.join]: parts }
  return item.isNegated ? { not: joined } : joined
}

function rowToWhen ({ column, operator, value }: Row): Record<string, unknown> | undefined {
  if (column === '' || (needsValue(operator) && value === undefined)) return undefined
  switch (operator) {
    case 'isNull':
      return { isNull: column }
    case 'isNotNull':
      return { isNull: { [column]: false } }
    case 'changed':
      return { changed: column }
    case 'unchanged':
      return { not: { changed: column } }
    case 'changedTo':
      return { changed: { column, to: value } }
    case 'changedFrom':
      return { changed: { column, from: value } }
    case 'notIn':
      return { not: { in: { [column]: value } } }
    default:
      return { [operator]: { [column]: value } }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const row = (column: string, operator: Operator, value?: unknown): Row => ({ kind: 'row', column, operator, value })

function grouped (items: readonly Item[], join: 'and' | 'or' = 'and'): Item {
  const [first] = items
  return first !== undefined && items.length === 1 ? first : { kind: 'group', join, isNegated: false, items }
}

/** Reads the JSON of a condition. Throws an Error with a sentence if it is not one. */
export function fromWhen (when: unknown): Item {
  if (!isObject(when)) throw new Error('A condition is an object of operators')
  const items = Object.entries(when).map(([name, operand]) => fromOperator(name, operand))
  if (items.length === 0) throw new Error('The condition has no operator')
  return grouped(items)
}

function fromOperator (name: string, operand: unknown): Item {
  switch (name) {
    case 'and':
    case 'or':
      if (!Array.isArray(operand) || operand.length === 0) throw new Error(`“${name}” needs an array of conditions`)
      return { kind: 'group', join: name, isNegated: false, items: operand.map(fromWhen) }
    case 'not':
      return negated(fromWhen(operand))
    case 'changed':
      return fromChanged(operand)
    case 'isNull':
      if (typeof operand === 'string') return row(operand, 'isNull')
      return compared(operand, name, (column, wanted) => row(column, wanted === false ? 'isNotNull' : 'isNull'))
    case 'eq':
    case 'ne':
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
    case 'in':
      return compared(operand, name, (column, wanted) => row(column, name, wanted))
    default:
      throw new Error(`“${name}” is not an operator`)
  }
}

function compared (operand: unknown, name: string, toRow: (column: string, wanted: unknown) => Row): Item {
  if (!isObject(operand) || Object.keys(operand).length === 0) {
    throw new Error(`“${name}” needs an object of columns and values`)
  }
  return grouped(Object.entries(operand).map(([column, wanted]) => toRow(column, wanted)))
}

function fromChanged (operand: unknown): Item {
  if (typeof operand === 'string') return row(operand, 'changed')
  if (!isObject(operand) || typeof operand['column'] !== 'string') {
    throw new Error('“changed” needs a column, or an object with a column')
  }
  const { column } = operand
  const ends = [
    ...('from' in operand ? [row(column, 'changedFrom', operand['from'])] : []),
    ...('to' in operand ? [row(column, 'changedTo', operand['to'])] : [])
  ]
  return ends.length === 0 ? row(column, 'changed') : grouped(ends)
}

const inverse: Partial<Record<Operator, Operator>> = {
  in: 'notIn',
  notIn: 'in',
  changed: 'unchanged',
  unchanged: 'changed',
  isNull: 'isNotNull',
  isNotNull: 'isNull'
}

function negated (item: Item): Item {
  if (item.kind === 'group') return { ...item, isNegated: !item.isNegated }
  const operator = inverse[item.operator]
  return operator !== undefined
    ? { ...item, operator }
    : { kind: 'group', join: 'and', isNegated: true, items: [item] }
}

/** The rows of a condition, for the list of what the row has. */
export const rowsOf = (item: Item): Row[] => (item.kind === 'row' ? [item] : item.items.flatMap(rowsOf))
