import type { Random } from '../../support/random.ts'
import { attackValues } from './attack-values.ts'

type Raw = Record<string, unknown>

/**
 * Generates valid and invalid documents from the text of a schema, without any code of the checker, so that the tests
 * do not share the checker's errors.
 */
export function randomDocument (random: Random, schema: unknown, root: unknown, depth = 4): unknown {
  if (typeof schema !== 'object' || schema === null || depth <= 0 || random.chance(0.06)) {
    return random.pick(attackValues)
  }
  const raw = schema as Raw
  const inner = (next: unknown): unknown => randomDocument(random, next, root, depth - 1)
  if (typeof raw['$ref'] === 'string' && random.chance(0.8)) return inner(resolve(root, raw['$ref']))
  for (const word of ['anyOf', 'oneOf', 'allOf']) {
    const branches = raw[word]
    if (Array.isArray(branches) && random.chance(0.4)) {
      return mix(inner(random.pick(branches)), random.chance(0.6) ? own(random, raw, inner) : undefined)
    }
  }
  for (const word of ['then', 'else', 'if', 'not']) {
    if (word in raw && random.chance(0.3)) return mix(inner(raw[word]), own(random, raw, inner))
  }
  return own(random, raw, inner)
}

function own (random: Random, raw: Raw, inner: (schema: unknown) => unknown): unknown {
  if (Array.isArray(raw['enum']) && random.chance(0.8)) return raw['enum'].length > 0 ? random.pick(raw['enum']) : null
  if ('const' in raw && random.chance(0.8)) return raw['const']
  const types = raw['type'] === undefined ? guess(raw) : Array.isArray(raw['type']) ? raw['type'] : [raw['type']]
  switch (random.pick(types)) {
    case 'null': return null
    case 'boolean': return random.chance(0.5)
    case 'integer': case 'number': return number(random, raw)
    case 'string': return text(random, raw)
    case 'array': return array(random, raw, inner)
    default: return object(random, raw, inner)
  }
}

function guess (raw: Raw): string[] {
  const words = Object.keys(raw).join()
  if (/roperties|required|dependen/.test(words)) return ['object', 'object', 'string']
  if (/tems|ontains/.test(words)) return ['array', 'array', 'number']
  if (/Length|pattern|format/.test(words)) return ['string', 'string', 'array']
  if (/imum|multiple/.test(words)) return ['number', 'number', 'string']
  return ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']
}

function number (random: Random, raw: Raw): number {
  const bounds = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'].map(word => raw[word])
    .filter(value => typeof value === 'number')
  const base = bounds.length > 0 ? random.pick(bounds) : random.pick([0, 1, 2, 6, 10, -3])
  const step = typeof raw['multipleOf'] === 'number' ? raw['multipleOf'] : 1
  return random.pick([
    base, base + 1, base - 1, base + 0.5, base * 2, base * 6, step * random.below(12), -step * random.below(5),
    Math.ceil(base), random.below(20) / 2
  ])
}

const texts = [
  '',
  'a',
  'b',
  'c',
  'ab',
  'aa',
  'aab',
  'aaab',
  'S_x',
  'S_1',
  '1',
  '12345',
  'abc',
  'B',
  'a b',
  '\n',
  '😀',
  '2024-02-29',
  '2024-02-29T12:30:45Z',
  '12:30:45Z',
  '192.0.2.1',
  'a@example.com',
  'https://a.io/b',
  'example.com',
  '123e4567-e89b-12d3-a456-426614174000',
  'ababab'
]
function text (random: Random, raw: Raw): string {
  const sizes = ['minLength', 'maxLength'].map(word => raw[word]).filter(value => typeof value === 'number')
  if (sizes.length > 0 && random.chance(0.5)) {
    return random.pick(['a', 'b', 'ab', '1']).repeat(10).slice(0, Math.max(0, random.pick(sizes) + random.below(3) - 1))
  }
  return random.pick(texts)
}

function array (random: Random, raw: Raw, inner: (schema: unknown) => unknown): unknown[] {
  const tuple = (raw['prefixItems'] ?? (Array.isArray(raw['items']) ? raw['items'] : [])) as unknown[]
  const rest = Array.isArray(raw['items']) ? raw['additionalItems'] : raw['items']
  const sizes = ['minItems', 'maxItems', 'minContains', 'maxContains'].map(word => raw[word]).filter(value =>
    typeof value === 'number'
  )
  const length = random.pick([0, 1, 2, 3, tuple.length, tuple.length + 1, ...sizes, ...sizes.map(size => size + 1)])
  return Array.from(
    { length },
    (_, i) =>
      i < tuple.length
        ? inner(tuple[i])
        : 'contains' in raw && random.chance(0.5)
          ? inner(raw['contains'])
          : inner(rest ?? raw['unevaluatedItems'])
  )
}

const names = ['a', 'b', 'c', 'ab', 'S_x', 'S_1', '1', 'zz', '', 'aa', 'abc']
function object (random: Random, raw: Raw, inner: (schema: unknown) => unknown): Raw {
  const properties = (raw['properties'] ?? {}) as Raw
  const patterns = (raw['patternProperties'] ?? {}) as Raw
  const result: Raw = {}
  const put = (name: string): void => {
    const pattern = Object.keys(patterns).find(source => new RegExp(source, 'u').test(name))
    result[name] = inner(
      name in properties
        ? properties[name]
        : pattern !== undefined
          ? patterns[pattern]
          : raw['additionalProperties'] ?? raw['unevaluatedProperties']
    )
  }
  for (const name of Object.keys(properties)) if (random.chance(0.6)) put(name)
  if (Array.isArray(raw['required'])) for (const name of raw['required'] as string[]) if (random.chance(0.93)) put(name)
  const extra = typeof raw['minProperties'] === 'number' ? raw['minProperties'] : random.pick([0, 0, 0, 1, 2])
  for (let i = 0; i < extra; i++) put(random.pick(names))
  return result
}

function mix (a: unknown, b: unknown): unknown {
  const isPlain = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain(a) && isPlain(b) ? { ...b, ...a } : a
}

function resolve (root: unknown, reference: string): unknown {
  return reference.split('/').slice(1).reduce<unknown>((at, token) => (at as Raw | undefined)?.[token], root)
}
