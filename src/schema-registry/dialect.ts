import { isObject } from './json.ts'
import { SchemaError } from './schema-error.ts'

/** How a schema is read: the drafts differ in the names of keywords and in what stands beside `$ref`. */
export type Dialect = '2020-12' | 'draft-07' | 'draft-04'

const DIALECTS: Record<string, Dialect> = {
  'https://json-schema.org/draft/2020-12/schema': '2020-12',
  'http://json-schema.org/draft-07/schema': 'draft-07',
  'http://json-schema.org/draft-06/schema': 'draft-07',
  'http://json-schema.org/draft-04/schema': 'draft-04'
}

/** 2020-12 unless `$schema` names an earlier draft. Draft-06 is read as draft-07, which only adds to it. */
export function dialectOf (schema: unknown): Dialect {
  const uri = isObject(schema) ? schema['$schema'] : undefined
  if (uri === undefined) return '2020-12'
  const dialect = typeof uri === 'string' ? DIALECTS[uri.replace(/#$/, '').replace(/^https(?=:\/\/json-schema\.org\/draft-)/, 'http')] : undefined
  if (dialect === undefined) {
    throw new SchemaError(`$schema names a dialect that is not supported; write ${Object.keys(DIALECTS).slice(0, 2).join(' or ')}`, '/$schema')
  }
  return dialect
}

export type Shape =
  | 'number' | 'positive' | 'count' | 'text' | 'pattern' | 'flag' | 'types' | 'values' | 'value' | 'names' | 'name lists'
  | 'schema' | 'schemas' | 'schema map' | 'pattern map' | 'schema or schemas' | 'dependencies' | 'number or flag'

const COMMON: Record<string, Shape> = {
  type: 'types',
  enum: 'values',
  const: 'value',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
  multipleOf: 'positive',
  minLength: 'count',
  maxLength: 'count',
  pattern: 'pattern',
  format: 'text',
  contentEncoding: 'text',
  contentMediaType: 'text',
  minItems: 'count',
  maxItems: 'count',
  uniqueItems: 'flag',
  contains: 'schema',
  minProperties: 'count',
  maxProperties: 'count',
  required: 'names',
  properties: 'schema map',
  patternProperties: 'pattern map',
  additionalProperties: 'schema',
  propertyNames: 'schema',
  dependencies: 'dependencies',
  allOf: 'schemas',
  anyOf: 'schemas',
  oneOf: 'schemas',
  not: 'schema',
  if: 'schema',
  then: 'schema',
  else: 'schema',
  $ref: 'text',
  $defs: 'schema map',
  definitions: 'schema map'
}

/** The keywords of each dialect with the shape of their values. Every other word is an annotation. */
export const SHAPES: Record<Dialect, ReadonlyMap<string, Shape>> = {
  '2020-12': new Map(Object.entries({
    ...COMMON,
    $dynamicRef: 'text',
    prefixItems: 'schemas',
    items: 'schema',
    minContains: 'count',
    maxContains: 'count',
    unevaluatedItems: 'schema',
    unevaluatedProperties: 'schema',
    dependentRequired: 'name lists',
    dependentSchemas: 'schema map',
    contentSchema: 'schema'
  } satisfies Record<string, Shape>)),
  'draft-07': new Map(Object.entries({ ...COMMON, items: 'schema or schemas', additionalItems: 'schema' } satisfies Record<string, Shape>)),
  'draft-04': new Map(Object.entries({
    ...COMMON, items: 'schema or schemas', additionalItems: 'schema', exclusiveMinimum: 'number or flag', exclusiveMaximum: 'number or flag'
  } satisfies Record<string, Shape>).filter(([word]) => !['const', 'contains', 'propertyNames', 'if', 'then', 'else'].includes(word)))
}
