import { canonical } from '../json.ts'
import type { SchemaNode } from '../schema-node.ts'

/**
 * Returns whether obviously no value satisfies two of the schemas: by their types, or by a property that all require
 * and in which each allows different values. "Exactly one" then equals "any", which is easier to solve.
 */
export function areDisjoint (schemas: readonly SchemaNode[]): boolean {
  return haveDistinct(schemas.map(typesOf)) ||
    discriminators(schemas).some(name => haveDistinct(schemas.map(schema => valuesOf(schema, name))))
}

function haveDistinct (lists: readonly (readonly string[] | undefined)[]): boolean {
  const seen = new Set<string>()
  return lists.every(list => list?.every(text => !seen.has(text) && seen.add(text)) === true)
}

function typesOf ({ keywords }: SchemaNode): string[] | undefined {
  if (typeof keywords === 'boolean') return undefined
  return keywords.type && [...new Set(keywords.type.map(type => type === 'integer' ? 'number' : type))]
}

function discriminators ([first]: readonly SchemaNode[]): string[] {
  return first === undefined || typeof first.keywords === 'boolean' ? [] : first.keywords.required ?? []
}

/** Returns the allowed values of a property that the schema requires. */
function valuesOf ({ keywords }: SchemaNode, name: string): string[] | undefined {
  if (typeof keywords === 'boolean' || keywords.type?.join() !== 'object') return undefined
  if (keywords.required?.includes(name) !== true) {
    return undefined
  }
  const property = keywords.properties?.get(name)?.keywords
  if (property === undefined || typeof property === 'boolean') return undefined
  const values = property.const === undefined ? property.enum : [property.const]
  return values && [...new Set(values.map(canonical))]
}
