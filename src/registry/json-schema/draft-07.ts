import { write } from './emit.ts'
import { type Json, type JsonObject, type JsonSchema, isObject, setOwn, valueAt } from './json.ts'
import { normalise } from './normalise.ts'
import { type Keywords, reachable, type SchemaNode } from './schema-node.ts'

/**
 * Returns the schema in draft-07, for a document of another kind at whose JSON Pointer `place` it will be: references
 * lead there, and it has no `$id` and no anchors. The translation may accept more: draft-07 has no `minContains` above
 * 1, no `maxContains` and no `contentSchema`. Throws SchemaError if the schema cannot be used.
 */
export function toDraft07 (schema: JsonSchema, place: string): JsonObject {
  const { result } = new Translation(schema, normalise(schema), place)
  if (typeof result !== 'boolean') return result
  return result ? {} : { not: {} }
}

class Translation {
  readonly result: JsonObject | boolean
  readonly #schema: JsonSchema
  readonly #references = new Map<SchemaNode, JsonObject>()

  constructor (schema: JsonSchema, root: SchemaNode, place: string) {
    this.#schema = schema
    const names = new Map<SchemaNode, string>()
    this.#references.set(root, { $ref: place })
    for (const next of reachable(root)) {
      if (next === root || !next.shared || typeof next.keywords === 'boolean') continue
      names.set(next, uniqueName(next.pointer, names.size))
      this.#references.set(next, { $ref: `${place}/definitions/${names.get(next) ?? ''}` })
    }
    const result = this.#write(root)
    const definitions = Object.fromEntries([...names].map(([next, name]) => [name, this.#write(next)]))
    this.result = names.size === 0 || typeof result === 'boolean' ? result : { ...result, definitions }
  }

  readonly #child = (next: SchemaNode): Json => this.#references.get(next) ?? this.#write(next)

  #write (next: SchemaNode): JsonObject | boolean {
    const { keywords, pointer } = next
    if (typeof keywords === 'boolean') return keywords
    const written = write({ ...next, keywords: expressible(keywords) }, this.#child)
    return { ...this.#annotations(pointer), ...typeof written === 'boolean' ? {} : rename(written) }
  }

  #annotations (pointer: string): JsonObject {
    const raw = valueAt(this.#schema, pointer)
    const annotations: JsonObject = {}
    for (const word of ['title', 'description']) {
      const text = isObject(raw) ? raw[word] : undefined
      if (typeof text === 'string') annotations[word] = text
    }
    return annotations
  }
}

/** Returns the keywords without those that draft-07 cannot express, or that other programs misread. */
function expressible (
  { minContains, maxContains, contains, contentSchema, unevaluatedItems, unevaluatedProperties, ...keywords }: Keywords
): Keywords {
  const { pattern, properties, patternProperties, additionalProperties, prefixItems, ...rest } = keywords
  const { dependentRequired, dependentSchemas, enum: values, const: value, ...others } = rest
  const members = {
    properties: withoutReference(properties),
    patternProperties: new Map([...withoutReference(patternProperties) ?? []].filter(([source]) => isPattern(source)))
  }
  const isWhole = members.properties?.size === properties?.size &&
    members.patternProperties.size === (patternProperties?.size ?? 0)
  return {
    ...others,
    ...contains !== undefined && minContains !== 0 && { contains },
    ...pattern !== undefined && isPattern(pattern) && { pattern },
    ...prefixItems !== undefined && prefixItems.length > 0 && { prefixItems },
    ...values?.every(isInert) === true && { enum: distinct(values) },
    ...value !== undefined && isInert(value) && { const: value },
    ...members.properties !== undefined && { properties: members.properties },
    ...members.patternProperties.size > 0 && { patternProperties: members.patternProperties },
    // `additionalProperties` depends on the other members.
    ...isWhole && additionalProperties !== undefined && { additionalProperties },
    ...dependentRequired !== undefined && { dependentRequired: withoutReference(dependentRequired) ?? new Map() },
    ...dependentSchemas !== undefined && { dependentSchemas: withoutReference(dependentSchemas) ?? new Map() }
  }
}

/** Returns the members without `$ref`: programs that resolve references take any member with this name for one. */
function withoutReference<T> (members: Map<string, T> | undefined): Map<string, T> | undefined {
  return members === undefined ? undefined : new Map([...members].filter(([name]) => name !== '$ref'))
}

/** Returns the schema with the names that keywords of 2020-12 have in draft-07. */
function rename (
  { prefixItems, items, dependentRequired = {}, dependentSchemas = {}, ...others }: JsonObject
): JsonObject {
  const dependencies: JsonObject = {}
  for (const [name, schema] of Object.entries(dependentSchemas as JsonObject)) setOwn(dependencies, name, schema)
  for (const [name, required] of Object.entries(dependentRequired as JsonObject)) {
    const names = [...new Set(required as string[])]
    const schema = Object.hasOwn(dependencies, name) ? dependencies[name] : undefined
    setOwn(dependencies, name, schema === undefined ? names : { allOf: [schema, { required: names }] })
  }
  return {
    ...others,
    ...prefixItems === undefined ? items !== undefined && { items } : { items: prefixItems },
    ...prefixItems !== undefined && items !== undefined && { additionalItems: items },
    ...Object.keys(dependencies).length > 0 && { dependencies }
  }
}

/** Returns whether a value has no member that programs would take for a reference, and would follow to any address. */
function isInert (value: Json): boolean {
  if (typeof value !== 'object' || value === null) return true
  return !Object.hasOwn(value, '$ref') && Object.values(value).every(isInert)
}

const distinct = (values: Json[]): Json[] => [...new Map(values.map(value => [JSON.stringify(value), value])).values()]

/** Returns whether other validators, which use the engine of JavaScript, accept a pattern. */
function isPattern (source: string): boolean {
  try {
    return new RegExp(source, 'u') instanceof RegExp
  } catch {
    return false
  }
}

const nameLengthMax = 60

/** Returns a name without characters that a reference has to escape. */
const uniqueName = (pointer: string, number: number): string =>
  `${pointer.split('/').at(-1)?.replace(/[^A-Za-z0-9]+/g, '-').slice(0, nameLengthMax) ?? ''}.${number}`
