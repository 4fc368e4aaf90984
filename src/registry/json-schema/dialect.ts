import { isObject } from './json.ts'
import { SchemaError } from './schema-error.ts'

/** The draft of a schema. Drafts differ in the names of keywords and in the meaning of keywords beside `$ref`. */
export type Dialect = '2020-12' | 'draft-07' | 'draft-06' | 'draft-04'

const dialects: Record<string, Dialect> = {
  'https://json-schema.org/draft/2020-12/schema': '2020-12',
  'http://json-schema.org/draft-07/schema': 'draft-07',
  'http://json-schema.org/draft-06/schema': 'draft-06',
  'http://json-schema.org/draft-04/schema': 'draft-04'
}

/** Returns 2020-12, or the earlier draft that `$schema` names. Throws SchemaError for any other dialect. */
export function dialectOf (schema: unknown): Dialect {
  const uri = isObject(schema) ? schema['$schema'] : undefined
  if (uri === undefined) return '2020-12'
  const dialect = typeof uri === 'string'
    ? dialects[uri.replace(/#$/, '').replace(/^https(?=:\/\/json-schema\.org\/draft-)/, 'http')]
    : undefined
  if (dialect === undefined) {
    throw new SchemaError(
      `$schema names an unsupported dialect: ${JSON.stringify(uri).slice(0, 200)}. Supported are ` +
        `2020-12 (the default), draft-07, draft-06 and draft-04, not draft 2019-09: write one of ${
          Object.keys(dialects).join(', ')
        }`,
      '/$schema'
    )
  }
  return dialect
}

export type Shape =
  | 'number'
  | 'positive'
  | 'count'
  | 'text'
  | 'pattern'
  | 'flag'
  | 'types'
  | 'values'
  | 'value'
  | 'names'
  | 'name lists'
  | 'schema'
  | 'schemas'
  | 'schema map'
  | 'pattern map'
  | 'schema or schemas'
  | 'dependencies'
  | 'number or flag'

const commonShapes: Record<string, Shape> = {
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
  definitions: 'schema map'
}

/** Returns the keywords without those of a later dialect. An earlier dialect ignores them like every unknown word. */
function without (later: readonly string[], shapes: Record<string, Shape>): ReadonlyMap<string, Shape> {
  return new Map(Object.entries(shapes).filter(([word]) => !later.includes(word)))
}
const sinceDraft07 = ['if', 'then', 'else', 'contentEncoding', 'contentMediaType']
const sinceDraft06 = [...sinceDraft07, 'const', 'contains', 'propertyNames']

/** The keywords of each dialect with the shape of their values. Every other word is an annotation. */
export const keywordShapes: Record<Dialect, ReadonlyMap<string, Shape>> = {
  '2020-12': new Map(Object.entries({
    ...commonShapes,
    $defs: 'schema map',
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
  'draft-07': without([], { ...commonShapes, items: 'schema or schemas', additionalItems: 'schema' }),
  'draft-06': without(sinceDraft07, { ...commonShapes, items: 'schema or schemas', additionalItems: 'schema' }),
  'draft-04': without(sinceDraft06, {
    ...commonShapes,
    items: 'schema or schemas',
    additionalItems: 'schema',
    exclusiveMinimum: 'number or flag',
    exclusiveMaximum: 'number or flag'
  })
}
