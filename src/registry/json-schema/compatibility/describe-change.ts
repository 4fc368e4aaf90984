import type { Keywords, SchemaNode } from '../schema-node.ts'

/** `minLength` → `min-length`. */
export function kebab (word: string): string {
  return word.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

const SUBJECTS: Partial<Record<keyof Keywords, string>> = {
  type: 'the types that are allowed',
  enum: 'the values that are allowed',
  const: 'the one value that is allowed',
  minimum: 'the smallest number',
  maximum: 'the largest number',
  exclusiveMinimum: 'the number that all must exceed',
  exclusiveMaximum: 'the number that all must stay below',
  multipleOf: 'the number that all must be multiples of',
  minLength: 'the least length of a string',
  maxLength: 'the greatest length of a string',
  pattern: 'the pattern of a string',
  format: 'the format of a string',
  contentEncoding: 'the encoding of the content',
  contentMediaType: 'the media type of the content',
  contentSchema: 'the schema of the content',
  minItems: 'the least number of items',
  maxItems: 'the greatest number of items',
  uniqueItems: 'the demand that items differ',
  contains: 'the demand on what an array contains',
  minProperties: 'the least number of properties',
  maxProperties: 'the greatest number of properties',
  propertyNames: 'the demand on the names of properties',
  additionalProperties: 'the demand on properties that are not declared',
  unevaluatedProperties: 'the demand on properties that are not evaluated',
  unevaluatedItems: 'the demand on items that are not evaluated',
  items: 'the schema of the items',
  prefixItems: 'the schema of an item',
  anyOf: 'the alternatives',
  oneOf: 'the alternatives that exclude each other',
  not: 'what is forbidden',
  if: 'the conditional demand',
  dependentRequired: 'the properties that another one brings with it',
  dependentSchemas: 'the schema that a property brings with it',
  patternProperties: 'the demand on properties whose name matches'
}

/** A plain sentence on how one keyword changed from the writer's schema to the reader's. */
export function describeChange (word: keyof Keywords, writer: SchemaNode | undefined, reader: SchemaNode): string {
  const subject = SUBJECTS[word] ?? `"${word}"`
  const [before, after] = [valueOf(word, writer), valueOf(word, reader)]
  if (after === undefined && before === undefined) return sentence(`${subject} changed`)
  if (after === undefined) return sentence(`${subject} (was ${before}) is demanded no more`)
  if (before === undefined) return sentence(`${subject} is new: ${after}`)
  return sentence(`${subject} changed from ${before} to ${after}`)
}

export function sentence (text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`
}

const SHOWN_MAX = 120

function valueOf (word: keyof Keywords, schema: SchemaNode | undefined): string | undefined {
  if (schema === undefined || typeof schema.keywords === 'boolean') return undefined
  const value = schema.keywords[word]
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isNode(value)) return typeof value.keywords === 'boolean' ? (value.keywords ? 'anything' : 'nothing') : 'a schema'
  if (Array.isArray(value) && value.some(isNode)) return `${value.length} schemas`
  if (value instanceof Map) return [...value.keys()].map((key) => JSON.stringify(key)).join(', ').slice(0, SHOWN_MAX)
  const text = JSON.stringify(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}

function isNode (value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && 'keywords' in value && 'pointer' in value
}
