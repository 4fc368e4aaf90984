import type { Random } from '../../support/random.ts'

export type Raw = boolean | { [keyword: string]: unknown }

const propertyNames = ['a', 'b', 'c', 'ab', 'S_x']
const patterns = ['^a', 'b$', '^S_', '[0-9]', '^[a-z]+$', '^(ab|c)$', '^$', '.', '^a{2,3}$', '^[^b]*$']
const formatNames = ['date', 'date-time', 'ipv4', 'uuid', 'email', 'uri', 'hostname', 'time', 'made-up']
const typeNames = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']
const sampleValues: unknown[] = [
  null, true, false, 0, 1, 2, 3, -1, 1.5, 10, 0.1, '', 'a', 'b', 'ab', 'aab', '1', [], [1], ['a', 1], [1, 1], {},
  { a: 1 }, { a: 'a', b: 2 }, { c: null }
]
const numbers = [-1, 0, 1, 2, 3, 5, 10, 0.5, 1.5, 2.5]
const sizes = [0, 1, 2, 3, 5]

type Maker = (random: Random, depth: number, draft: string) => Record<string, unknown>

const few = <T>(
  random: Random, list: readonly T[], most = 3
): T[] => [...new Set(Array.from({ length: 1 + random.below(most) }, () => random.pick(list)))]
const map = (random: Random, names: readonly string[], value: () => unknown): Record<string, unknown> =>
  Object.fromEntries(few(random, names).map(name => [name, value()]))

const stringMakers: Maker[] = [
  r => ({ minLength: r.pick(sizes) }),
  r => ({ maxLength: r.pick(sizes) }),
  r => ({ pattern: r.pick(patterns) }),
  r => ({ format: r.pick(formatNames) })
]
const numberMakers: Maker[] = [
  r => ({ minimum: r.pick(numbers) }),
  r => ({ maximum: r.pick(numbers) }),
  r => ({ exclusiveMinimum: r.pick(numbers) }),
  r => ({ exclusiveMaximum: r.pick(numbers) }),
  r => ({ multipleOf: r.pick([1, 2, 3, 5, 6, 0.5, 0.1, 1.5]) })
]
const objectMakers: Maker[] = [
  (r, d, v) => ({ properties: map(r, propertyNames, () => schema(r, d - 1, v)) }),
  (r, d, v) => ({ properties: map(r, propertyNames, () => schema(r, d - 1, v)), required: few(r, propertyNames, 2) }),
  (r, d, v) => ({
    properties: map(r, propertyNames, () => schema(r, d - 1, v)),
    additionalProperties: r.pick([false, false, true, schema(r, d - 1, v)])
  }),
  r => ({ required: few(r, propertyNames, 2) }),
  (r, d, v) => ({ patternProperties: map(r, patterns, () => schema(r, d - 1, v)) }),
  (r, d, v) => ({
    patternProperties: map(r, patterns, () => schema(r, d - 1, v)),
    additionalProperties: r.pick([false, schema(r, d - 1, v)])
  }),
  (r, _d, v) => ({
    propertyNames: r.pick([
      { maxLength: 2 }, { minLength: 1 }, { pattern: '^a' }, { enum: ['a', 'b'] }, schema(r, 0, v)
    ])
  }),
  r => ({ minProperties: r.pick(sizes) }),
  r => ({ maxProperties: r.pick(sizes) }),
  (r, _d, v) =>
    v === 'draft-07'
      ? { dependencies: map(r, propertyNames, () => few(r, propertyNames, 2)) }
      : { dependentRequired: map(r, propertyNames, () => few(r, propertyNames, 2)) },
  (r, d, v) => ({
    [v === 'draft-07' ? 'dependencies' : 'dependentSchemas']: map(r, propertyNames, () => schema(r, d - 1, v))
  }),
  (r, d, v) => v === 'draft-07' ? {} : { unevaluatedProperties: r.pick([false, schema(r, d - 1, v)]) }
]
const arrayMakers: Maker[] = [
  (r, d, v) => ({ items: schema(r, d - 1, v) }),
  (r, d, v) => v === 'draft-07'
    ? { items: [schema(r, d - 1, v), schema(r, d - 1, v)], additionalItems: r.pick([false, true, schema(r, d - 1, v)]) }
    : { prefixItems: [schema(r, d - 1, v), schema(r, d - 1, v)], items: r.pick([false, true, schema(r, d - 1, v)]) },
  r => ({ minItems: r.pick(sizes) }), r => ({ maxItems: r.pick(sizes) }), () => ({ uniqueItems: true }),
  (r, d, v) => ({ contains: schema(r, d - 1, v) }),
  (r, d, v) =>
    v === 'draft-07'
      ? { contains: schema(r, d - 1, v) }
      : {
          contains: schema(r, d - 1, v),
          minContains: r.pick([0, 1, 2]),
          ...r.chance(0.5) ? { maxContains: r.pick([1, 2, 3]) } : {}
        },
  (r, d, v) => v === 'draft-07' ? {} : { unevaluatedItems: r.pick([false, schema(r, d - 1, v)]) }
]
const anyMakers: Maker[] = [
  r => ({ enum: few(r, sampleValues, 5) }), r => ({ const: r.pick(sampleValues) }),
  (r, d, v) => ({ not: schema(r, d - 1, v) }),
  (r, d, v) => ({ anyOf: [schema(r, d - 1, v), schema(r, d - 1, v)] }),
  (r, d, v) => ({ oneOf: Array.from({ length: 1 + r.below(3) }, () => schema(r, d - 1, v)) }),
  (r, d, v) => ({ allOf: [schema(r, d - 1, v), schema(r, d - 1, v)] }),
  (r, d, v) => ({
    if: schema(r, d - 1, v),
    ...r.chance(0.7) ? { then: schema(r, d - 1, v) } : {},
    ...r.chance(0.7) ? { else: schema(r, d - 1, v) } : {}
  }),
  r => ({ $ref: r.pick(['#/$defs/x', '#/$defs/y']) }),
  r => ({ $ref: r.pick(['#/$defs/x', '#/$defs/y', '#']) })
]
const makersByType: Record<string, Maker[]> = {
  string: stringMakers,
  number: numberMakers,
  integer: numberMakers,
  object: objectMakers,
  array: arrayMakers,
  null: [],
  boolean: []
}

/** Returns a schema of about the given depth. References lead to `x` and `y`, which `document` defines. */
export function schema (random: Random, depth: number, draft: string): Raw {
  if (random.chance(0.04)) return random.chance(0.6)
  if (depth <= 0) return leaf(random)
  const result: Record<string, unknown> = {}
  const type = random.pick(typeNames)
  if (random.chance(0.75)) result['type'] = random.chance(0.85) ? type : few(random, typeNames, 3)
  for (let i = random.below(3); i > 0; i--) {
    const makers = makersByType[type] ?? []
    if (makers.length > 0) Object.assign(result, random.pick(makers)(random, depth, draft))
  }
  if (random.chance(0.3)) Object.assign(result, random.pick(anyMakers)(random, depth, draft))
  return result
}

function leaf (random: Random): Raw {
  const type = random.pick(typeNames)
  return random.pick<() => Raw>([
    () => ({ type }),
    () => ({ type: few(random, typeNames, 2) }),
    () => ({ const: random.pick(sampleValues) }),
    () => ({ enum: few(random, sampleValues, 3) }),
    () => ({ type: 'string', ...random.pick(stringMakers)(random, 0, '') }),
    () => ({ type: 'integer', ...random.pick(numberMakers)(random, 0, '') }),
    () => ({ type: 'number', ...random.pick(numberMakers)(random, 0, '') }),
    () => ({})
  ])()
}

/** Returns a whole document, sometimes with definitions that refer to each other and to themselves. */
export function document (random: Random, depth: number): Record<string, unknown> {
  const draft = random.chance(0.3) ? 'draft-07' : '2020-12'
  const root = schema(random, depth, draft)
  const head = draft === 'draft-07' ? { $schema: 'http://json-schema.org/draft-07/schema#' } : {}
  const below = (): Raw => ({
    type: random.pick(['object', 'array']),
    properties: { a: schema(random, 1, draft), b: { $ref: random.pick(['#/$defs/x', '#/$defs/y', '#']) } },
    ...random.chance(0.5) ? { items: { $ref: '#/$defs/x' } } : {}
  })
  return {
    ...head,
    ...typeof root === 'boolean' ? { not: !root } : root,
    $defs: { x: random.chance(0.5) ? below() : leaf(random), y: random.chance(0.5) ? below() : leaf(random) }
  }
}

/** Returns the document with one or several keywords changed, added or removed, at the root or below. */
export function mutate (random: Random, original: Record<string, unknown>, depth: number): Record<string, unknown> {
  const copy = structuredClone(original)
  const draft = '$schema' in original ? 'draft-07' : '2020-12'
  const before = JSON.stringify(original)
  for (let i = random.pick([1, 1, 1, 2, 3]); i > 0 || JSON.stringify(copy) === before; i--) {
    const { $defs, ...used } = copy
    const below = JSON.stringify(used).includes('"$ref"') && random.chance(0.5)
      ? schemasIn($defs)
      : schemasIn(used).slice(1)
    mutateOne(random, below.length === 0 || random.chance(0.3) ? copy : random.pick(below), depth, draft)
  }
  return copy
}

function mutateOne (random: Random, place: Record<string, unknown>, depth: number, draft: string): void {
  const words = Object.keys(place).filter(word => word !== '$schema' && word !== '$defs')
  const word = words.length > 0 ? random.pick(words) : undefined
  const action = random.below(10)
  if (word !== undefined && action < 2) delete place[word]
  else if (word !== undefined && action < 7) place[word] = nudge(random, place[word])
  else {
    const type = typeof place['type'] === 'string' ? place['type'] : 'object'
    const own = makersByType[type] ?? []
    const makers = random.chance(0.7) && own.length > 0 ? own : anyMakers
    Object.assign(place, random.pick(makers)(random, Math.min(depth, 1), draft))
  }
}

/** Returns a value similar to the given one, which makes compatible changes likely. */
function nudge (random: Random, value: unknown): unknown {
  if (typeof value === 'number') return random.pick([value + 1, Math.max(0, value - 1), value * 2, value])
  if (typeof value === 'boolean') return random.chance(0.5) ? !value : {}
  if (value === 'integer') return 'number'
  if (typeof value === 'string' && typeNames.includes(value)) {
    return random.chance(0.6)
      ? [...new Set([value, random.pick(typeNames)])]
      : random.pick(typeNames)
  }
  if (typeof value === 'string' && patterns.includes(value)) return random.pick(patterns)
  if (typeof value === 'string' && formatNames.includes(value)) return random.pick(formatNames)
  if (Array.isArray(value)) {
    if (value.length > 1 && random.chance(0.5)) return value.toSpliced(random.below(value.length), 1)
    if (value.every(item => typeof item === 'string' && typeNames.includes(item))) {
      return [...new Set([...value as string[], random.pick(typeNames)])]
    }
    if (value.every(item => typeof item === 'string' && propertyNames.includes(item))) {
      return [...new Set([...value as string[], random.pick(propertyNames)])]
    }
    return value.every(item => typeof item === 'object' && item !== null)
      ? [...value as unknown[], {}]
      : [...value as unknown[], random.pick(['b', 1, 'ab'])]
  }
  if (typeof value === 'object' && value !== null && random.chance(0.4)) {
    const key = random.pick([...Object.keys(value), 'zz'])
    const { [key]: _gone, ...rest } = value as Record<string, unknown>
    return rest
  }
  return value
}

const subschemas = [
  'items', 'additionalProperties', 'contains', 'not', 'if', 'then', 'else', 'propertyNames', 'additionalItems',
  'unevaluatedProperties', 'unevaluatedItems', 'prefixItems', 'allOf', 'anyOf', 'oneOf'
]
const schemaMaps = ['properties', 'patternProperties', 'dependentSchemas']

function schemasIn (root: unknown): Record<string, unknown>[] {
  if (Array.isArray(root)) return root.flatMap(schemasIn)
  if (typeof root !== 'object' || root === null) return []
  const own = root as Record<string, unknown>
  if ('x' in own && 'y' in own) return Object.values(own).flatMap(schemasIn)
  return [
    own,
    ...subschemas.flatMap(word => schemasIn(own[word])),
    ...schemaMaps.flatMap(word => Object.values(own[word] ?? {}).flatMap(schemasIn))
  ]
}
