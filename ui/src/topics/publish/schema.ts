/* The parts of JSON Schema that a form can show. Everything else is edited as JSON. */

export interface JsonSchema {
  $ref?: string
  type?: string | string[]
  title?: string
  description?: string
  enum?: unknown[]
  const?: unknown
  default?: unknown
  format?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  properties?: Record<string, JsonSchema | boolean>
  required?: string[]
  items?: JsonSchema | boolean
  oneOf?: (JsonSchema | boolean)[]
  anyOf?: (JsonSchema | boolean)[]
}

export type Kind = 'object' | 'array' | 'enum' | 'text' | 'number' | 'boolean' | 'variants' | 'json'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isSchema = (value: unknown): value is JsonSchema => isObject(value)

/** Returns the schema that local references lead to. A schema that cannot be found accepts anything. */
export function resolved (schema: JsonSchema | boolean | undefined, root: JsonSchema): JsonSchema {
  let found: unknown = schema
  for (let hops = 0; hops < 10 && isSchema(found) && found.$ref !== undefined; hops++) {
    const { $ref } = found
    if ($ref !== '#' && !$ref.startsWith('#/')) return {}
    const parts = $ref.split('/').slice(1).map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    found = parts.reduce<unknown>((at, part) => (isObject(at) ? at[part] : undefined), root)
  }
  return isSchema(found) ? found : {}
}

/** Returns the control that a schema needs. `null` beside one type only means that the value may be left out. */
export function kindOf (schema: JsonSchema): Kind {
  if (schema.enum !== undefined || schema.const !== undefined) return 'enum'
  if ((schema.oneOf ?? schema.anyOf) !== undefined && schema.properties === undefined) return 'variants'
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter(type => type !== 'null')
  if (types.length !== 1) return 'json'
  switch (types[0]) {
    case 'object': return schema.properties === undefined ? 'json' : 'object'
    case 'array': return isSchema(schema.items) ? 'array' : 'json'
    case 'string': return 'text'
    case 'number':
    case 'integer': return 'number'
    case 'boolean': return 'boolean'
    default: return 'json'
  }
}

/** The choices of an `enum` or `const`. */
export const choicesOf = ({ enum: values, const: only }: JsonSchema): unknown[] => values ?? [only]

/** The schemas of a `oneOf` or `anyOf`. */
export const variantsOf = (schema: JsonSchema, root: JsonSchema): JsonSchema[] =>
  (schema.oneOf ?? schema.anyOf ?? []).map(variant => resolved(variant, root))

/** Returns a value to begin with: the default, or the required parts of an object. Undefined: left out. */
export function initialOf (schema: JsonSchema, root: JsonSchema, depth = 0): unknown {
  if (schema.default !== undefined) return schema.default
  const kind = kindOf(schema)
  if (kind === 'array') return []
  if (kind === 'variants') return initialOf(variantsOf(schema, root)[0] ?? {}, root, depth + 1)
  if (kind !== 'object' || depth > 8) return undefined
  const required = schema.required ?? []
  const entries = Object.entries(schema.properties ?? {})
    .filter(([name]) => required.includes(name))
    .map(([name, property]) => [name, initialOf(resolved(property, root), root, depth + 1)] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/** Returns the index of the variant that a value looks like. */
export function variantOf (variants: readonly JsonSchema[], value: unknown): number {
  const found = variants.findIndex(schema => {
    const kind = kindOf(schema)
    if (kind === 'enum') return choicesOf(schema).some(choice => JSON.stringify(choice) === JSON.stringify(value))
    if (kind === 'text') return typeof value === 'string'
    if (kind === 'number') return typeof value === 'number'
    if (kind === 'boolean') return typeof value === 'boolean'
    if (kind === 'array') return Array.isArray(value)
    return isObject(value) && (schema.required ?? Object.keys(schema.properties ?? {})).every(name => name in value)
  })
  return Math.max(found, 0)
}

/** The input type of a format, where browsers have one that yields the same text. */
export const inputOf = ({ format }: JsonSchema): string =>
  format === 'date' ? 'date' : format === 'email' ? 'email' : format === 'uri' ? 'url' : 'text'

/** The name of a schema for a person. */
export function titleOf ({ title, properties, type }: JsonSchema, fallback: string): string {
  return title ?? (properties === undefined ? type?.toString() : Object.keys(properties).join(', ')) ?? fallback
}

/** Appends a name to a JSON Pointer. */
export const below = (pointer: string, name: string | number): string =>
  `${pointer}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
