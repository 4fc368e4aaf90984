import { canonical } from '../json.ts'
import type { SchemaNode } from '../schema-node.ts'

/**
 * Whether no value can satisfy two of the schemas, as can be seen at a glance: by their types, or by a property that
 * all require and in which each allows other values. Then "exactly one" is the same as "any", which is far easier to
 * reason on.
 */
export function areDisjoint (schemas: readonly SchemaNode[]): boolean {
  return haveDistinct(schemas.map(typesOf)) ||
    discriminators(schemas).some((name) => haveDistinct(schemas.map((schema) => valuesOf(schema, name))))
}

function haveDistinct (lists: readonly (readonly string[] | undefined)[]): boolean {
  const seen = new Set<string>()
  return lists.every((list) => list?.every((text) => !seen.has(text) && seen.add(text)) === true)
}

function typesOf ({ keywords }: SchemaNode): string[] | undefined {
  if (typeof keywords === 'boolean') return undefined
  return keywords.type && [...new Set(keywords.type.map((type) => type === 'integer' ? 'number' : type))]
}

function discriminators ([first]: readonly SchemaNode[]): string[] {
  return first === undefined || typeof first.keywords === 'boolean' ? [] : first.keywords.required ?? []
}

/** The values that an object may have under a name which it must have. */
function valuesOf ({ keywords }: SchemaNode, name: string): string[] | undefined {
  if (typeof keywords === 'boolean' || keywords.type?.join() !== 'object' || keywords.required?.includes(name) !== true) { return undefined }
  const property = keywords.properties?.get(name)?.keywords
  if (property === undefined || typeof property === 'boolean') return undefined
  const values = property.const === undefined ? property.enum : [property.const]
  return values && [...new Set(values.map(canonical))]
}
