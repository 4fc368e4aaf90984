import type { Json, JsonObject } from './json.ts'
import { setOwn } from './json.ts'
import { type Keywords, reachable, type SchemaNode } from './schema-node.ts'

const plainKeywords = [
  'enum', 'const', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minLength', 'maxLength',
  'pattern', 'format', 'contentEncoding', 'contentMediaType', 'contentSchema', 'minItems', 'maxItems', 'uniqueItems',
  'minProperties', 'maxProperties', 'required'
] as const
const schemaKeywords = ['items', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else'] as const
const listKeywords = ['prefixItems', 'allOf', 'anyOf', 'oneOf'] as const
const mapKeywords = ['properties', 'patternProperties', 'dependentSchemas'] as const

/** Writes a subschema where it is used: in place, or as a keyword that refers to it. */
export type WriteChild = (next: SchemaNode) => Json

/** Writes the internal form as a 2020-12 schema without `$id` or anchors. */
export function emit (root: SchemaNode): JsonObject | boolean {
  const names = new Map<SchemaNode, string>()
  for (const next of reachable(root)) {
    if (next.shared && typeof next.keywords !== 'boolean') names.set(next, String(names.size))
  }
  const child = (next: SchemaNode): Json =>
    names.has(next) ? { $ref: `#/$defs/${names.get(next)}` } : write(next, child)
  if (names.size === 0) return write(root, child)
  const $defs: JsonObject = {}
  for (const [next, name] of names) $defs[name] = write(next, child)
  return { $defs, ...child(root) as JsonObject }
}

/** Writes one schema with the keywords of 2020-12. */
export function write ({ keywords }: SchemaNode, child: WriteChild): JsonObject | boolean {
  if (typeof keywords === 'boolean') return keywords
  if (Object.keys(keywords).length === 0) return true
  const result: JsonObject = {}
  if (keywords.type !== undefined) {
    const [only] = keywords.type
    result['type'] = only !== undefined && keywords.type.length === 1 ? only : [...new Set(keywords.type)]
  }
  for (const word of plainKeywords) if (keywords[word] !== undefined) result[word] = keywords[word]
  for (const word of schemaKeywords) if (keywords[word] !== undefined) result[word] = child(keywords[word])
  for (const word of listKeywords) if (keywords[word] !== undefined) result[word] = keywords[word].map(child)
  for (const word of mapKeywords) if (keywords[word] !== undefined) result[word] = object(keywords[word], child)
  for (const word of ['unevaluatedItems', 'unevaluatedProperties'] as const) {
    const rule = keywords[`${word}Rule`]
    if (rule !== undefined) result['allOf'] = [...result['allOf'] as Json[] | undefined ?? [], child(rule)]
    else if (keywords[word] !== undefined) result[word] = child(keywords[word])
  }
  if (keywords.dependentRequired !== undefined) {
    result['dependentRequired'] = object(keywords.dependentRequired, names => names)
  }
  writeContains(result, keywords, child)
  return result
}

/** Puts `contains` into its own schema beside `prefixItems`: Ajv would otherwise skip it for an empty array. */
function writeContains (
  result: JsonObject, { contains, minContains, maxContains, prefixItems }: Keywords, child: WriteChild
): void {
  if (contains === undefined) return
  const written: JsonObject = { contains: child(contains) }
  if (minContains !== undefined) written['minContains'] = minContains
  if (maxContains !== undefined) written['maxContains'] = maxContains
  if (prefixItems === undefined) Object.assign(result, written)
  else result['allOf'] = [...result['allOf'] as Json[] | undefined ?? [], written]
}

function object<T> (map: Map<string, T>, toJson: (value: T) => Json): JsonObject {
  const result: JsonObject = {}
  for (const [key, value] of map) setOwn(result, key, toJson(value))
  return result
}
