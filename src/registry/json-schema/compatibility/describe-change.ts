import type { Keywords, SchemaNode } from '../schema-node.ts'

/** Returns `min-length` for `minLength`. */
export function kebab (word: string): string {
  return word.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

const subjects: Partial<Record<keyof Keywords, string>> = {
  type: 'the set of allowed types',
  enum: 'the list of allowed values',
  const: 'the constant value',
  minimum: 'the minimum',
  maximum: 'the maximum',
  exclusiveMinimum: 'the exclusive minimum',
  exclusiveMaximum: 'the exclusive maximum',
  multipleOf: 'the divisor of numbers',
  minLength: 'the minimum length of a string',
  maxLength: 'the maximum length of a string',
  pattern: 'the pattern of a string',
  format: 'the format of a string',
  contentEncoding: 'the encoding of the content',
  contentMediaType: 'the media type of the content',
  contentSchema: 'the schema of the content',
  minItems: 'the minimum number of items',
  maxItems: 'the maximum number of items',
  uniqueItems: 'the rule that items are unique',
  contains: 'the schema of contained items',
  minProperties: 'the minimum number of properties',
  maxProperties: 'the maximum number of properties',
  propertyNames: 'the schema of property names',
  additionalProperties: 'the schema of additional properties',
  unevaluatedProperties: 'the schema of unevaluated properties',
  unevaluatedItems: 'the schema of unevaluated items',
  items: 'the schema of the items',
  prefixItems: 'the schema of an item',
  anyOf: 'the set of alternatives (anyOf)',
  oneOf: 'the set of exclusive alternatives (oneOf)',
  not: 'the excluded schema (not)',
  if: 'the condition (if)',
  dependentRequired: 'the list of properties that another property requires',
  dependentSchemas: 'the schema that a property requires',
  patternProperties: 'the schema of properties with a matching name'
}

/** Returns a sentence on how a keyword changed from the writer's schema to the reader's. */
export function describeChange (word: keyof Keywords, writer: SchemaNode | undefined, reader: SchemaNode): string {
  const subject = subjects[word] ?? `"${word}"`
  const [before, after] = [valueOf(word, writer), valueOf(word, reader)]
  if (after === undefined && before === undefined) return sentence(`${subject} changed`)
  if (after === undefined) return sentence(`${subject} (${before}) was removed`)
  if (before === undefined) return sentence(`${subject} was added: ${after}`)
  return sentence(`${subject} changed from ${before} to ${after}`)
}

export function sentence (text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

const shownMax = 120

function valueOf (word: keyof Keywords, schema: SchemaNode | undefined): string | undefined {
  if (schema === undefined || typeof schema.keywords === 'boolean') return undefined
  const value = schema.keywords[word]
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isNode(value)) return typeof value.keywords === 'boolean' ? (value.keywords ? 'anything' : 'nothing') : 'a schema'
  if (Array.isArray(value) && value.some(isNode)) return `${value.length} schemas`
  if (value instanceof Map) return [...value.keys()].map(key => JSON.stringify(key)).join(', ').slice(0, shownMax)
  const text = JSON.stringify(value)
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}

function isNode (value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && 'keywords' in value && 'pointer' in value
}
