import { resolve, type Schema } from './openapi-document.ts'
import type { Random } from './random.ts'

/** JSON as text, because JSON.stringify cannot write many of the values. */
export class Raw {
  readonly text: string
  constructor (text: string) { this.text = text }
}

export function toText (value: unknown): string {
  if (value instanceof Raw) return value.text
  if (Array.isArray(value)) return `[${value.map(toText).join()}]`
  if (typeof value === 'object' && value !== null) {
    return `{${
      Object.entries(value).filter(([, one]) => one !== undefined).map(([key, one]) =>
        `${JSON.stringify(key)}:${toText(one)}`
      ).join()
    }}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** Values for fields that name a resource, by field name. */
export type Pools = Record<string, readonly unknown[]>

/** Fields with addresses. No request of a test leaves the machine. */
const placesOnly = new Set(['url', 'connectionString'])

const levels = (n: number) => '{"a":'.repeat(n) + '1' + '}'.repeat(n)
const arrays = (n: number) => '['.repeat(n) + ']'.repeat(n)

const oddTexts = [
  '',
  ' ',
  'word',
  '\0',
  'a\0b',
  '\u0001',
  '\u007f',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\ufffe',
  '\u202egnp.exe',
  'ﬃ',
  'İ',
  'ß',
  'é',
  'e\u0301',
  '💩',
  '👩‍👩‍👧‍👦',
  '\u{10ffff}',
  'x'.repeat(200),
  'x'.repeat(201),
  '💩'.repeat(100),
  'x'.repeat(10_000),
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '%00',
  '%2e%2e',
  "' or 1=1 --",
  '"; drop table topics; --',
  '$row.id',
  '$$',
  '$row.__proto__',
  '{{7*7}}',
  '<script>',
  '*',
  '**',
  '.*',
  'a.*',
  '/',
  '//',
  '~',
  '~2',
  'null',
  'true',
  '1',
  '-1',
  '1e400',
  'NaN',
  'Infinity',
  '2024-01-15T10:00:00Z',
  'app_',
  'Bearer x',
  'a@b',
  'a@example.com',
  '\r\nx-injected: 1',
  'https://127.0.0.1/',
  'http://[::1]:1/',
  'javascript:1',
  'postgres://',
  'postgres://a:b@127.0.0.1:1/c'
]
const oddJson = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '1.5',
  '2147483648',
  '9007199254740991',
  '9007199254740993',
  '8640000000000001',
  '-8640000000000001',
  '99999999999999999999',
  '1e308',
  '1e400',
  '-1e400',
  '5e-324',
  '"\\ud800"',
  '"\\udc00x"',
  '"\\u0000"',
  '[]',
  '[[]]',
  '[null]',
  '[1,"a",{}]',
  '{}',
  '{"":1}',
  '{"a":1}',
  '{"a":1,"a":2}',
  '{"a\\u0000b":1}',
  '{"\\ud800":1}',
  '{"__proto__":{"isAdmin":true}}',
  '{"constructor":{"prototype":{"isAdmin":true}}}',
  '{"toString":1,"valueOf":1}',
  '{"toJSON":1}',
  '{"then":1}',
  '{"length":-1}',
  '{"$ref":"#"}',
  '{"$ref":"http://127.0.0.1:1/"}',
  '{"type":"string","pattern":"(a+)+$"}',
  '{"a":[1e400]}',
  levels(64),
  levels(65),
  levels(5000),
  arrays(64),
  arrays(65),
  arrays(5000),
  `[${'1,'.repeat(1001)}1]`,
  `{${Array.from({ length: 500 }, (_, i) => `"k${i}":${i}`).join()}}`,
  `{"${'k'.repeat(10_000)}":1}`
]

/** Makes values from schemas: valid ones, values at a limit, and invalid ones. */
export class Values {
  readonly #random: Random
  readonly #pools: Pools

  constructor (random: Random, pools: Pools) {
    this.#random = random
    this.#pools = pools
  }

  oddText (): string { return this.#random.pick(oddTexts) }

  odd (): Raw {
    return new Raw(this.#random.chance(0.4) ? JSON.stringify(this.oddText()) : this.#random.pick(oddJson))
  }

  /** Returns a value that the schema usually accepts: for some patterns only the examples are available. */
  good (given: Schema, name = '', depth = 0): unknown {
    const random = this.#random
    const schema = resolve(given)
    // A name may be `constructor`.
    const pool = Object.hasOwn(this.#pools, name) ? this.#pools[name] : undefined
    if (pool !== undefined && pool.length > 0 && (placesOnly.has(name) || random.chance(0.9))) return random.pick(pool)
    if (schema.const !== undefined) return schema.const
    if (schema.enum !== undefined) return random.pick(schema.enum)
    if (schema.examples !== undefined && random.chance(schema.type === 'object' ? 0.5 : 0.6)) {
      return random.pick(schema.examples)
    }
    if (schema.anyOf !== undefined) return this.good(random.pick(schema.anyOf), '', depth + 1)
    if (depth > 6) return null
    switch ([schema.type].flat()[0]) {
      case 'object':
        return this.#object(schema, depth)
      case 'array':
        return Array.from(
          { length: this.#size(schema.minItems ?? 0, Math.min(schema.maxItems ?? 3, 3)) },
          () => this.good(schema.items ?? {}, name, depth + 1)
        )
      case 'integer':
        return this.#size(schema.minimum ?? 0, schema.maximum ?? 2000)
      case 'number':
        return random.chance(0.5) ? schema.minimum ?? 0 : (schema.maximum ?? 1) * random.next()
      case 'boolean':
        return random.chance(0.5)
      case 'null':
        return null
      case 'string':
        return schema.examples !== undefined
          ? random.pick(schema.examples)
          : 'x'.repeat(this.#size(schema.minLength ?? 0, Math.min(schema.maxLength ?? 20, 20)))
      default:
        return random.pick<unknown>([null, 1, 'text', { status: 'active', n: 1 }, [1, 2], {
          id: 1, total: 4.2, open: true
        }])
    }
  }

  /** Returns values at and beyond the schema's limits. */
  bound (given: Schema): unknown {
    const random = this.#random
    const schema = resolve(given)
    const { minimum, maximum, minLength, maxLength, minItems, maxItems } = schema
    const text = (length: number) => 'a'.repeat(Math.max(0, Math.min(length, 300_000)))
    const list = (length: number) =>
      Array.from({ length: Math.max(0, Math.min(length, 1100)) }, () => this.good(schema.items ?? {}))
    const candidates: unknown[] = [
      ...[minimum, maximum].filter(one => one !== undefined).flatMap(
        one => [one - 1, one, one + 1, one + 0.5, String(one)]
      ),
      ...[minLength, maxLength].filter(one => one !== undefined).flatMap(
        one => [text(one - 1), text(one), text(one + 1)]
      ),
      ...[minItems, maxItems].filter(one => one !== undefined).flatMap(
        one => [list(one - 1), list(one), list(one + 1)]
      ),
      ...(schema.enum ?? []).flatMap(one => [String(one).toUpperCase(), `${String(one)} `]),
      ...(schema.pattern === undefined
        ? []
        : (schema.examples ?? []).flatMap(
            one => [
            `${String(one)}\n`,
            ` ${String(one)}`,
            String(one).toUpperCase(),
            `${String(one)}\0`,
            `${String(one)}é`
            ]
          ))
    ]
    return candidates.length === 0 ? this.odd() : random.pick(candidates)
  }

  /** Returns a value with one invalid part, or one part at its limit. */
  changed (value: unknown, given: Schema): unknown {
    const random = this.#random
    const schema = resolve(given)
    const branch = schema.anyOf === undefined ? schema : resolve(random.pick(schema.anyOf))
    if (Array.isArray(value) && random.chance(0.7)) {
      if (value.length === 0 || random.chance(0.2)) return [...value, this.odd()]
      return value.with(random.below(value.length), this.changed(value[0], branch.items ?? {}))
    }
    if (
      typeof value === 'object' && value !== null && !(value instanceof Raw) && !Array.isArray(value) &&
      random.chance(0.9)
    ) {
      const known = Object.keys({ ...branch.properties, ...value })
      const name = random.pick(
        random.chance(0.05) || known.length === 0 ? ['nobodyKnowsThis', '__proto__', 'constructor', ''] : known
      )
      if (random.chance(0.1)) return Object.fromEntries(Object.entries(value).filter(([other]) => other !== name))
      const part = Object.hasOwn(branch.properties ?? {}, name) ? branch.properties?.[name] ?? {} : {}
      const own = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : this.good(part, name)
      return Object.fromEntries([...Object.entries(value).filter(([other]) => other !== name), [
        name, this.changed(own, part)
      ]])
    }
    return random.chance(0.35) ? this.bound(branch) : this.odd()
  }

  #object ({ properties = {}, required = [] }: Schema, depth: number): object {
    return Object.fromEntries(
      Object.entries(properties).filter(([name]) => required.includes(name) || this.#random.chance(0.4)).map((
        [name, part]
      ) => [name, this.good(part, name, depth + 1)])
    )
  }

  #size (min: number, max: number): number {
    return this.#random.chance(0.3) ? min : min + this.#random.below(Math.max(1, Math.min(max, 100_000) - min + 1))
  }
}
