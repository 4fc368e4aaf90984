import { invalid, isPlainObject, jsonDepthMax } from '../../foundation/json.ts'
import { compareValues, isSameValue } from './compare-values.ts'
import { missing, unavailable, type RowChange } from './row-change.ts'

/** True, false, or undefined when the condition depends on a value that the stream does not carry. */
export type Truth = boolean | undefined
export type Condition = (change: RowChange) => Truth

/** Receives each column that a mapping names, with its path. */
export type NoteColumn = (column: string, path: string) => void

/** Thrown while a change is evaluated, when the mapping names a column that its table does not have. */
export class MissingColumnError extends Error {
  readonly column: string
  constructor (column: string) {
    super(`The table has no column ${column.slice(0, 100)}`)
    this.column = column
  }
}

/**
 * Compiles a `when`. Several operators in one object must all hold. Undefined stays undefined through `not`, `and` and
 * `or`, unless the other conditions decide. Throws ValidationError with the path of the invalid part.
 */
export function parseCondition (when: unknown, path: string, note: NoteColumn, depth = 1): Condition {
  if (depth > jsonDepthMax) throw invalid(path, `must be at most ${jsonDepthMax} levels deep`)
  if (!isPlainObject(when)) throw invalid(path, 'must be an object of operators')
  const parts = Object.entries(when).map(([name, operand]) => {
    const parse = Object.hasOwn(operators, name) ? operators[name] : undefined
    if (parse === undefined) {
      throw invalid(
        `${path}/${name.slice(0, 50)}`,
        `is not an operator; use ${Object.keys(operators).join(', ')}`
      )
    }
    return parse(operand, `${path}/${name}`, note, depth)
  })
  if (parts.length === 0) throw invalid(path, 'must have an operator')
  return all(parts)
}

type Parse = (operand: unknown, path: string, note: NoteColumn, depth: number) => Condition

const operators: Record<string, Parse> = {
  changed: parseChanged,
  eq: comparing(isSameValue),
  ne: comparing((value, wanted) => !isSameValue(value, wanted)),
  gt: ordering(order => order > 0),
  gte: ordering(order => order >= 0),
  lt: ordering(order => order < 0),
  lte: ordering(order => order <= 0),
  in: comparing((value, wanted) => (wanted as unknown[]).some(one => isSameValue(value, one)), (wanted, path) => {
    if (!Array.isArray(wanted)) throw invalid(path, 'must be an array of values')
  }),
  isNull: parseIsNull,
  not: (operand, path, note, depth) => {
    const inner = parseCondition(operand, path, note, depth + 1)
    return change => negate(inner(change))
  },
  and: (operand, path, note, depth) => all(parseList(operand, path, note, depth)),
  or: (operand, path, note, depth) => any(parseList(operand, path, note, depth))
}

const negate = (truth: Truth): Truth => truth === undefined ? undefined : !truth

function all (conditions: readonly Condition[]): Condition {
  return change => {
    let truth: Truth = true
    for (const condition of conditions) {
      const one = condition(change)
      if (one === false) return false
      if (one === undefined) truth = undefined
    }
    return truth
  }
}

function any (conditions: readonly Condition[]): Condition {
  return change => {
    let truth: Truth = false
    for (const condition of conditions) {
      const one = condition(change)
      if (one === true) return true
      if (one === undefined) truth = undefined
    }
    return truth
  }
}

function parseList (operand: unknown, path: string, note: NoteColumn, depth: number): Condition[] {
  if (!Array.isArray(operand) || operand.length === 0) throw invalid(path, 'must be a non-empty array of conditions')
  return operand.map((one, i) => parseCondition(one, `${path}/${i}`, note, depth + 1))
}

/**
 * Compiles `changed: column` or `changed: {column, from?, to?}`. Without old values, a column that may have changed
 * counts as changed, because an extra event does less harm than a missing one; `from` is then unknown.
 */
function parseChanged (operand: unknown, path: string, note: NoteColumn): Condition {
  const given = typeof operand === 'string' ? { column: operand } : operand
  if (!isPlainObject(given)) throw invalid(path, 'must be a column name or {column, from?, to?}')
  const { column, ...ends } = given
  if (typeof column !== 'string' || column === '') throw invalid(`${path}/column`, 'must name a column')
  for (const name of Object.keys(ends)) {
    if (name !== 'from' && name !== 'to') {
      throw invalid(
        `${path}/${name.slice(0, 50)}`,
        'is not allowed; use column, from, to'
      )
    }
  }
  note(column, path)
  const hasChanged: Condition = change => change.changed(column) ?? true
  const parts = [hasChanged]
  if ('to' in ends) {
    parts.push(change =>
      change.operation === 'delete'
        ? isSameValue(null, ends['to'])
        : testValue(change.row.get(column), column, value => isSameValue(value, ends['to']))
    )
  }
  if ('from' in ends) {
    parts.push(change => {
      if (change.operation === 'insert') return isSameValue(null, ends['from'])
      return testValue(
        change.old === undefined ? unavailable : change.old.get(column), column,
        value => isSameValue(value, ends['from'])
      )
    })
  }
  return all(parts)
}

type Test = (value: unknown, wanted: unknown) => Truth

/** Compiles `{column: value}`: every comparison must hold for the row, as in `$row`. */
function comparing (test: Test, check: (wanted: unknown, path: string) => void = () => {}): Parse {
  return (operand, path, note) => {
    if (!isPlainObject(operand) || Object.keys(operand).length === 0) {
      throw invalid(path, 'must be an object of columns and values')
    }
    return all(
      Object.entries(operand).map(([column, wanted]) => {
        const place = `${path}/${column.slice(0, 63)}`
        check(wanted, place)
        note(column, place)
        return (change: RowChange) => testValue(change.row.get(column), column, value => test(value, wanted))
      })
    )
  }
}

function ordering (holds: (order: number) => boolean): Parse {
  return comparing((value, wanted) => {
    const order = compareValues(value, wanted)
    return order !== undefined && holds(order)
  }, (wanted, path) => {
    if (typeof wanted !== 'number' && typeof wanted !== 'string') throw invalid(path, 'must be a number or a string')
  })
}

/** Compiles `isNull: column` or `isNull: {column: true | false}`. */
function parseIsNull (operand: unknown, path: string, note: NoteColumn): Condition {
  if (typeof operand === 'string') return parseIsNull({ [operand]: true }, path, note)
  if (!isPlainObject(operand) || Object.keys(operand).length === 0) {
    throw invalid(path, 'must be a column name or {column: true | false}')
  }
  return all(
    Object.entries(operand).map(([column, wanted]) => {
      const place = `${path}/${column.slice(0, 63)}`
      if (typeof wanted !== 'boolean') throw invalid(place, 'must be true or false')
      note(column, place)
      return (change: RowChange) =>
        testValue(change.row.get(column), column, () => change.row.isNull(column) === wanted)
    })
  )
}

function testValue (value: unknown, column: string, test: (value: unknown) => Truth): Truth {
  if (value === missing) throw new MissingColumnError(column)
  return value === unavailable ? undefined : test(value)
}
