import fc from 'fast-check'
import t from 'tap'
import type { MappingDefinition, Operation } from '../../../schemas/database.ts'
import { compileMapping } from '../../../src/cdc/mappings/compiled-mapping.ts'
import { compareValues } from '../../../src/cdc/mappings/compare-values.ts'
import { givenValues, missing, unavailable, type RowChange, type Values } from '../../../src/cdc/mappings/row-change.ts'
import { parseTableName } from '../../../src/cdc/mappings/table-name.ts'
import { parseArrayText } from '../../../src/cdc/decoding/column-types.ts'
import { formatLsn, parseLsn } from '../../../src/cdc/source/stream-state.ts'

/* Compares the mapping language with a simple model: three-valued logic, written out. */

type Truth = true | false | 'unknown'
type Cell = number | string | boolean | null | typeof unavailable
type Row = Record<string, Cell>

interface Given { operation: Operation, row: Row, old: Row | undefined }

const columns = ['a', 'b', 'c']
const scalar = fc.oneof(
  fc.integer({ min: -3, max: 3 }), fc.constantFrom('x', 'y', 'Z', '10', '9'), fc.boolean(), fc.constant(null)
)
const cell: fc.Arbitrary<Cell> = fc.oneof({ weight: 6, arbitrary: scalar as fc.Arbitrary<Cell> }, {
  weight: 1, arbitrary: fc.constant(unavailable as Cell)
})
const row: fc.Arbitrary<Row> = fc.record({ a: cell, b: cell, c: cell })
const given: fc.Arbitrary<Given> = fc.record({
  operation: fc.constantFrom<Operation>('insert', 'update', 'delete'), row, old: fc.option(row, { nil: undefined })
})

const column = fc.constantFrom(...columns)
const ordered = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom('x', 'y', 'Z', '10', '9'))
const byColumn = <T>(value: fc.Arbitrary<T>) => fc.dictionary(column, value, { minKeys: 1, maxKeys: 2 })

const condition = fc.letrec<{ any: Record<string, unknown> }>(tie => ({
  any: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    column.map(changed => ({ changed })),
    fc.record({ column, from: scalar, to: scalar }, { requiredKeys: ['column'] }).map(changed => ({ changed })),
    byColumn(scalar).map(eq => ({ eq })),
    byColumn(scalar).map(ne => ({ ne })),
    fc.tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte'), byColumn(ordered)).map(([name, operand]) => ({
      [name]: operand
    })),
    byColumn(fc.array(scalar, { maxLength: 3 })).map(list => ({ in: list })),
    column.map(isNull => ({ isNull })), byColumn(fc.boolean()).map(isNull => ({ isNull })),
    tie('any').map(not => ({ not })),
    fc.array(tie('any'), { minLength: 1, maxLength: 3 }).map(and => ({ and })),
    fc.array(tie('any'), { minLength: 1, maxLength: 3 }).map(or => ({ or })),
    fc.tuple(byColumn(scalar), column).map(([eq, changed]) => ({ eq, changed }))
  )
})).any

const truthAnd = (truths: Truth[]): Truth =>
  truths.includes(false) ? false : truths.includes('unknown') ? 'unknown' : true
const truthNot = (truth: Truth): Truth => truth === 'unknown' ? 'unknown' : !truth
const known = (value: Cell | undefined, test: (value: Exclude<Cell, symbol>) => boolean): Truth =>
  value === unavailable || value === undefined ? 'unknown' : test(value as Exclude<Cell, symbol>)

function modelOrder (a: unknown, b: unknown): number | undefined {
  const numberOf = (value: unknown) =>
    typeof value === 'number' ? value : typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : undefined
  const [x, y] = [numberOf(a), numberOf(b)]
  if (x !== undefined && y !== undefined) return x - y
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  return undefined
}

function hasChanged ({ operation, row, old }: Given, column: string): Truth {
  if (operation !== 'update') return true
  if (row[column] === unavailable) return false
  if (old === undefined || old[column] === unavailable) return 'unknown'
  return old[column] !== row[column]
}

function model (when: Record<string, unknown>, given: Given): Truth {
  const { operation, row, old } = given
  return truthAnd(
    Object.entries(when).map(([name, operand]): Truth => {
      const each = (test: (value: unknown, wanted: unknown) => boolean): Truth =>
        truthAnd(
          Object.entries(operand as object).map(([column, wanted]) => known(row[column], value => test(value, wanted)))
        )
      switch (name) {
        case 'changed': {
          const { column, ...ends } = typeof operand === 'string'
            ? { column: operand }
            : operand as { column: string, from?: unknown, to?: unknown }
          const parts: Truth[] = [hasChanged(given, column) === 'unknown' ? true : hasChanged(given, column)]
          if ('to' in ends) {
            parts.push(operation === 'delete' ? ends.to === null : known(row[column], value => value === ends.to))
          }
          if ('from' in ends) {
            parts.push(
              operation === 'insert'
                ? ends.from === null
                : known((operation === 'delete' ? row : old)?.[column], value => value === ends.from)
            )
          }
          return truthAnd(parts)
        }
        case 'eq':
          return each((value, wanted) =>
            value === wanted
          )
        case 'ne':
          return each((value, wanted) => value !== wanted)
        case 'gt':
          return each((value, wanted) => (modelOrder(value, wanted) ?? NaN) > 0)
        case 'gte':
          return each((value, wanted) => (modelOrder(value, wanted) ?? NaN) >= 0)
        case 'lt':
          return each((value, wanted) => (modelOrder(value, wanted) ?? NaN) < 0)
        case 'lte':
          return each((value, wanted) => (modelOrder(value, wanted) ?? NaN) <= 0)
        case 'in':
          return each((value, wanted) => (wanted as unknown[]).includes(value))
        case 'isNull':
          return typeof operand === 'string'
            ? known(row[operand], value => value === null)
            : each((value, wanted) => (value === null) === wanted)
        case 'not':
          return truthNot(model(operand as Record<string, unknown>, given))
        case 'and':
          return truthAnd((operand as Record<string, unknown>[]).map(one => model(one, given)))
        case 'or':
          return truthNot(truthAnd((operand as Record<string, unknown>[]).map(one => truthNot(model(one, given)))))
        default:
          throw new Error(name)
      }
    })
  )
}

function changeOf (given: Given): RowChange {
  const { operation, row, old } = given
  const values = givenValues(row)
  return {
    operation,
    row: values,
    old: operation === 'insert' ? undefined : operation === 'delete' ? values : old && givenValues(old),
    changed: column => {
      const truth = hasChanged(given, column)
      return truth === 'unknown' ? undefined : truth
    },
    event: { operation, table: 't', schema: 'public', lsn: '0/1', xid: 7, committedAt: 5 }
  }
}

const base: MappingDefinition = { table: 't', topic: 'a.b', events: ['insert', 'update', 'delete'], payload: 1 }

t.test('conditions agree with the model, including unknown values', async t => {
  const seen = { true: 0, false: 0, unknown: 0 }
  fc.assert(fc.property(condition, given, (when, given) => {
    const wanted = model(when, given)
    const evaluation = compileMapping({ ...base, when }).evaluate(changeOf(given))
    seen[String(wanted) as 'true']++
    const found: Truth = evaluation.matched ? true : evaluation.reason === 'unknown' ? 'unknown' : false
    if (found !== wanted) throw new Error(`${String(found)} instead of ${String(wanted)}`)
  }), { numRuns: 5000 })
  t.ok(Math.min(...Object.values(seen)) > 50, JSON.stringify(seen))
})

t.test('events and trigger columns are checked before the condition', async t => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.constantFrom<Operation>('insert', 'update', 'delete'), { minLength: 1 }),
      fc.uniqueArray(column, { minLength: 1 }),
      given,
      (events, triggerColumns, given) => {
        const evaluation = compileMapping({ ...base, events, triggerColumns }).evaluate(changeOf(given))
        const isTriggered = given.operation !== 'update' ||
          triggerColumns.some(column => hasChanged(given, column) !== false)
        const wanted = !events.includes(given.operation) ? 'operation' : isTriggered ? true : 'triggerColumns'
        if ((evaluation.matched ? true : evaluation.reason) !== wanted) throw new Error(String(wanted))
      }
    ),
    { numRuns: 1000 }
  )
  t.pass()
})

const reference = fc.oneof(
  fc.tuple(fc.constantFrom('row', 'old'), column).map(([source, column]) => `$${source}.${column}`),
  fc.constantFrom(
    '$event.operation', '$event.table', '$event.schema', '$event.lsn', '$event.xid', '$event.committedAt'
  ),
  fc.constantFrom('$$row.a', '$$', '$', '$row', '$rows.a', 'row.a', '$5', 'text'),
  scalar
)
const payload = fc.letrec<{ any: unknown }>(tie => ({
  any: fc.oneof(
    { depthSize: 'small' }, reference, fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('x', 'y', '$row.a', 'constructor'), tie('any'), { maxKeys: 3 })
  )
})).any

/** Fills a part of the template as the model does. */
function fill (part: unknown, given: Given, lacking: string[]): unknown {
  if (Array.isArray(part)) {
    return part.map(one => fill(one, given, lacking)).map(one => one === unavailable ? null : one)
  }
  if (typeof part === 'object' && part !== null) {
    return Object.fromEntries(
      Object.entries(part).map(([key, one]) => [key, fill(one, given, lacking)]).filter(([, one]) =>
        one !== unavailable
      )
    )
  }
  if (typeof part !== 'string') return part
  if (part.startsWith('$$')) return part.slice(1)
  const look = (row: Row | undefined, name: string, said: string) => {
    const value = row === undefined ? unavailable : row[name]
    if (value === unavailable) lacking.push(said)
    return value
  }
  if (part.startsWith('$row.')) return look(given.row, part.slice(5), part.slice(5))
  if (part.startsWith('$old.')) {
    return given.operation === 'insert'
      ? null
      : look(given.operation === 'delete' ? given.row : given.old, part.slice(5), part.slice(1))
  }
  if (part.startsWith('$event.')) return (changeOf(given).event as Record<string, unknown>)[part.slice(7)]
  return part
}

t.test('templates agree with the model and list missing values', async t => {
  fc.assert(
    fc.property(payload, given, (payload, given) => {
      const lacking: string[] = []
      const filled = fill(payload, given, lacking)
      const wanted = JSON.stringify(filled === unavailable ? null : filled)
      const evaluation = compileMapping({ ...base, payload }).evaluate(changeOf(given))
      if (
        !evaluation.matched || evaluation.text !== wanted ||
        JSON.stringify(evaluation.unavailable) !== JSON.stringify(lacking)
      ) {
        throw new Error(`${JSON.stringify(evaluation)} instead of ${wanted} lacking ${lacking.join()}`)
      }
    }),
    { numRuns: 3000 }
  )
  const whole = compileMapping({ table: 't', topic: 'a', events: ['insert'] }).evaluate(
    changeOf({ operation: 'insert', row: { a: 1, b: unavailable, c: 'x' }, old: undefined })
  )
  t.match(whole, { matched: true, payload: { a: 1, c: 'x' }, unavailable: ['b'] }, 'without a template, the whole row')
})

t.test('a column that does not exist is a failure', async t => {
  const change = changeOf({ operation: 'update', row: { a: 1 }, old: { a: 2 } })
  for (
    const part of [{ payload: '$row.z' }, { payload: ['$old.z'] }, { when: { eq: { z: 1 } } }, {
      when: { or: [{ isNull: 'z' }, { eq: { a: 1 } }] }
    }]
  ) {
    t.throws(() => compileMapping({ ...base, ...part }).evaluate(change), { message: 'The table has no column z' })
  }
  const empty: Values = givenValues({})
  t.equal(empty.get('constructor'), missing, 'inherited properties do not exist')
})

t.test('an invalid mapping is refused with its path', async t => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ when: { equals: { a: 1 } } }, '/when/equals'],
    [{ when: { constructor: 1 } }, '/when/constructor'],
    [{ when: {} }, '/when'],
    [{ when: { and: [] } }, '/when/and'],
    [{ when: { and: [{ eq: { a: 1 } }, { or: [{ not: { foo: 1 } }] }] } }, '/when/and/1/or/0/not/foo'],
    [{ when: { eq: {} } }, '/when/eq'],
    [{ when: { eq: 5 } }, '/when/eq'],
    [{ when: { gt: { a: null } } }, '/when/gt/a'],
    [{ when: { in: { a: 1 } } }, '/when/in/a'],
    [{ when: { isNull: { a: 'yes' } } }, '/when/isNull/a'],
    [{ when: { changed: 5 } }, '/when/changed'],
    [{ when: { changed: { column: 'a', form: 1 } } }, '/when/changed/form'],
    [{ when: { changed: {} } }, '/when/changed/column'],
    [{ payload: { a: ['$event.time'] } }, '/payload/a/0'],
    [{ payload: '$row.' }, '/payload'],
    [{ table: 'a.b.c' }, '/table'],
    [{ table: '"a' }, '/table'],
    [{ table: `a.${'ü'.repeat(32)}` }, '/table']
  ]
  for (const [part, path] of wrong) {
    t.throws(() => compileMapping({ ...base, ...part } as MappingDefinition), {
      code: 'VALIDATION_FAILED', details: [{ path }]
    }, JSON.stringify(part))
  }
  let deep: Record<string, unknown> = { eq: { a: 1 } }
  for (let i = 0; i < 1000; i++) deep = { not: deep }
  t.throws(() => compileMapping({ ...base, when: deep }), { code: 'VALIDATION_FAILED' }, 'at any depth')
})

t.test('table names are parsed like SQL, without folding case', async t => {
  t.same(parseTableName('sessions'), { schema: 'public', name: 'sessions' })
  t.same(parseTableName('Shop.Sessions'), { schema: 'Shop', name: 'Sessions' }, 'case is not folded')
  t.same(parseTableName('"a.b"."c ""d"""'), { schema: 'a.b', name: 'c "d"' })
  t.same(parseTableName('"größe"'), { schema: 'public', name: 'größe' })
})

t.test('values are ordered by meaning', async t => {
  t.ok((compareValues('9007199254740993', '9007199254740992') ?? 0) > 0, 'integers beyond 2^53')
  t.ok((compareValues('9007199254740993', 1) ?? 0) > 0)
  t.ok((compareValues('1.10', 1.09) ?? 0) > 0)
  t.equal(compareValues('-1.50', '-1.5'), 0)
  t.ok(
    (compareValues('2024-01-15T10:00:00.5Z', '2024-01-15T10:00:00Z') ?? 0) > 0, 'an instant with and without a fraction'
  )
  t.equal(compareValues('2024-01-15T10:00:00+02:00', '2024-01-15T08:00:00.000Z'), 0)
  t.ok((compareValues('2024-01-15T10:00:00.000001Z', '2024-01-15T10:00:00Z') ?? 0) > 0, 'microseconds')
  t.same([compareValues(null, 1), compareValues(true, false), compareValues('x', 1), compareValues([1], [1])], [
    undefined, undefined, undefined, undefined
  ])
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
      (a, b) => Math.sign(compareValues(String(a), String(b)) ?? NaN) === (a < b ? -1 : a > b ? 1 : 0)
    )
  )
})

t.test('array texts and LSNs round-trip', async t => {
  const write = (value: unknown): string =>
    Array.isArray(value)
      ? `{${value.map(write).join(',')}}`
      : value === null
        ? 'NULL'
        : `"${String(value).replace(/[\\"]/g, '\\$&')}"`
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.constant(null), fc.array(fc.string(), { minLength: 1 }))), value => {
      t.same(parseArrayText(write(value), ',', text => text), value)
    }),
    { numRuns: 200 }
  )
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), lsn => parseLsn(formatLsn(lsn)) === lsn))
  t.equal(formatLsn(parseLsn('16/B374D848')), '16/B374D848')
})
