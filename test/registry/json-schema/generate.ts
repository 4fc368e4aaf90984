import type { Random } from '../../random.ts'

export type Raw = boolean | { [keyword: string]: unknown }

const NAMES = ['a', 'b', 'c', 'ab', 'S_x']
const PATTERNS = ['^a', 'b$', '^S_', '[0-9]', '^[a-z]+$', '^(ab|c)$', '^$', '.', '^a{2,3}$', '^[^b]*$']
const FORMATS = ['date', 'date-time', 'ipv4', 'uuid', 'email', 'uri', 'hostname', 'time', 'made-up']
const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']
const VALUES: unknown[] = [
  null, true, false, 0, 1, 2, 3, -1, 1.5, 10, 0.1, '', 'a', 'b', 'ab', 'aab', '1', [], [1], ['a', 1], [1, 1], {},
  { a: 1 }, { a: 'a', b: 2 }, { c: null }
]
const NUMBERS = [-1, 0, 1, 2, 3, 5, 10, 0.5, 1.5, 2.5]
const SIZES = [0, 1, 2, 3, 5]

type Maker = (random: Random, depth: number, draft: string) => Record<string, unknown>

const few = <T>(
  random: Random, list: readonly T[], most = 3
): T[] => [...new Set(Array.from({ length: 1 + random.below(most) }, () => random.pick(list)))]
const map = (random: Random, names: readonly string[], value: () => unknown): Record<string, unknown> =>
  Object.fromEntries(few(random, names).map(name => [name, value()]))

const STRING: Maker[] = [
  r => ({ minLength: r.pick(SIZES) }),
  r => ({ maxLength: r.pick(SIZES) }),
  r => ({ pattern: r.pick(PATTERNS) }),
  r => ({ format: r.pick(FORMATS) })
]
const NUMBER: Maker[] = [
  r => ({ minimum: r.pick(NUMBERS) }),
  r => ({ maximum: r.pick(NUMBERS) }),
  r => ({ exclusiveMinimum: r.pick(NUMBERS) }),
  r => ({ exclusiveMaximum: r.pick(NUMBERS) }),
  r => ({ multipleOf: r.pick([1, 2, 3, 5, 6, 0.5, 0.1, 1.5]) })
]
const OBJECT: Maker[] = [
  (r, d, v) => ({ properties: map(r, NAMES, () => schema(r, d - 1, v)) }),
  (r, d, v) => ({ properties: map(r, NAMES, () => schema(r, d - 1, v)), required: few(r, NAMES, 2) }),
  (r, d, v) => ({
    properties: map(r, NAMES, () => schema(r, d - 1, v)),
    additionalProperties: r.pick([false, false, true, schema(r, d - 1, v)])
  }),
  r => ({ required: few(r, NAMES, 2) }),
  (r, d, v) => ({ patternProperties: map(r, PATTERNS, () => schema(r, d - 1, v)) }),
  (r, d, v) => ({
    patternProperties: map(r, PATTERNS, () => schema(r, d - 1, v)),
    additionalProperties: r.pick([false, schema(r, d - 1, v)])
  }),
  (r, _d, v) => ({
    propertyNames: r.pick([
      { maxLength: 2 }, { minLength: 1 }, { pattern: '^a' }, { enum: ['a', 'b'] }, schema(r, 0, v)
    ])
  }),
  r => ({ minProperties: r.pick(SIZES) }),
  r => ({ maxProperties: r.pick(SIZES) }),
  (r, _d, v) =>
    v === 'draft-07'
      ? { dependencies: map(r, NAMES, () => few(r, NAMES, 2)) }
      : { dependentRequired: map(r, NAMES, () => few(r, NAMES, 2)) },
  (r, d, v) => ({ [v === 'draft-07' ? 'dependencies' : 'dependentSchemas']: map(r, NAMES, () => schema(r, d - 1, v)) }),
  (r, d, v) => v === 'draft-07' ? {} : { unevaluatedProperties: r.pick([false, schema(r, d - 1, v)]) }
]
const ARRAY: Maker[] = [
  (r, d, v) => ({ items: schema(r, d - 1, v) }),
  (r, d, v) => v === 'draft-07'
    ? { items: [schema(r, d - 1, v), schema(r, d - 1, v)], additionalItems: r.pick([false, true, schema(r, d - 1, v)]) }
    : { prefixItems: [schema(r, d - 1, v), schema(r, d - 1, v)], items: r.pick([false, true, schema(r, d - 1, v)]) },
  r => ({ minItems: r.pick(SIZES) }), r => ({ maxItems: r.pick(SIZES) }), () => ({ uniqueItems: true }),
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
const ANY: Maker[] = [
  r => ({ enum: few(r, VALUES, 5) }), r => ({ const: r.pick(VALUES) }),
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
const BY_TYPE: Record<string, Maker[]> = {
  string: STRING, number: NUMBER, integer: NUMBER, object: OBJECT, array: ARRAY, null: [], boolean: []
}

/** Returns a schema of about the given depth. References lead to `x` and `y`, which `document` defines. */
export function schema (random: Random, depth: number, draft: string): Raw {
  if (random.chance(0.04)) return random.chance(0.6)
  if (depth <= 0) return leaf(random)
  const result: Record<string, unknown> = {}
  const type = random.pick(TYPES)
  if (random.chance(0.75)) result['type'] = random.chance(0.85) ? type : few(random, TYPES, 3)
  for (let i = random.below(3); i > 0; i--) {
    const makers = BY_TYPE[type]!
    if (makers.length > 0) Object.assign(result, random.pick(makers)(random, depth, draft))
  }
  if (random.chance(0.3)) Object.assign(result, random.pick(ANY)(random, depth, draft))
  return result
}

function leaf (random: Random): Raw {
  const type = random.pick(TYPES)
  return random.pick<() => Raw>([
    () => ({ type }),
    () => ({ type: few(random, TYPES, 2) }),
    () => ({ const: random.pick(VALUES) }),
    () => ({ enum: few(random, VALUES, 3) }),
    () => ({ type: 'string', ...random.pick(STRING)(random, 0, '') }),
    () => ({ type: 'integer', ...random.pick(NUMBER)(random, 0, '') }),
    () => ({ type: 'number', ...random.pick(NUMBER)(random, 0, '') }),
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
    const makers = random.chance(0.7) && BY_TYPE[type]!.length > 0 ? BY_TYPE[type]! : ANY
    Object.assign(place, random.pick(makers)(random, Math.min(depth, 1), draft))
  }
}

/** Returns a value similar to the given one, which makes compatible changes likely. */
function nudge (random: Random, value: unknown): unknown {
  if (typeof value === 'number') return random.pick([value + 1, Math.max(0, value - 1), value * 2, value])
  if (typeof value === 'boolean') return random.chance(0.5) ? !value : {}
  if (value === 'integer') return 'number'
  if (typeof value === 'string' && TYPES.includes(value)) {
    return random.chance(0.6)
      ? [...new Set([value, random.pick(TYPES)])]
      : random.pick(TYPES)
  }
  if (typeof value === 'string' && PATTERNS.includes(value)) return random.pick(PATTERNS)
  if (typeof value === 'string' && FORMATS.includes(value)) return random.pick(FORMATS)
  if (Array.isArray(value)) {
    if (value.length > 1 && random.chance(0.5)) return value.toSpliced(random.below(value.length), 1)
    if (value.every(item => typeof item === 'string' && TYPES.includes(item))) {
      return [...new Set([...value as string[], random.pick(TYPES)])]
    }
    if (value.every(item => typeof item === 'string' && NAMES.includes(item))) {
      return [...new Set([...value as string[], random.pick(NAMES)])]
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

const SUBSCHEMAS = [
  'items', 'additionalProperties', 'contains', 'not', 'if', 'then', 'else', 'propertyNames', 'additionalItems',
  'unevaluatedProperties', 'unevaluatedItems', 'prefixItems', 'allOf', 'anyOf', 'oneOf'
]
const SCHEMA_MAPS = ['properties', 'patternProperties', 'dependentSchemas']

function schemasIn (root: unknown): Record<string, unknown>[] {
  if (Array.isArray(root)) return root.flatMap(schemasIn)
  if (typeof root !== 'object' || root === null) return []
  const own = root as Record<string, unknown>
  if ('x' in own && 'y' in own) return Object.values(own).flatMap(schemasIn)
  return [
    own,
    ...SUBSCHEMAS.flatMap(word => schemasIn(own[word])),
    ...SCHEMA_MAPS.flatMap(word => Object.values(own[word] ?? {}).flatMap(schemasIn))
  ]
}
