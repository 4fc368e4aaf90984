import { type Json, jsonTypes, type JsonType, typeOf } from '../json.ts'
import type { Keywords, SchemaNode } from '../schema-node.ts'

/** A set of JSON types, one bit each. */
export type TypeSet = number

export const noTypes: TypeSet = 0
export const everyType: TypeSet = 2 ** jsonTypes.length - 1
export const setOf = (...types: readonly JsonType[]): TypeSet =>
  types.reduce((set, type) => set | 1 << jsonTypes.indexOf(type), noTypes)

export const objects = setOf('object')
export const arrays = setOf('array')

const objectWords = ['properties', 'patternProperties', 'additionalProperties', 'required'] as const
const arrayWords = ['prefixItems', 'items'] as const

/** Returns the values that `const` or `enum` list, or undefined without these keywords. */
export function listedValues (keywords: Keywords): Json[] | undefined {
  return keywords.const !== undefined ? [keywords.const] : keywords.enum
}

/** Determines which JSON types values of a schema can have, and for which of them TypeScript can express more. */
export class PossibleTypes {
  readonly #possible = new Map<SchemaNode, TypeSet>()
  readonly #detailed = new Map<SchemaNode, TypeSet>()

  /** Returns the types that values of the schema can have. There may be fewer. */
  of (schema: SchemaNode): TypeSet {
    return remember(this.#possible, schema, () => {
      const { keywords } = schema
      if (typeof keywords === 'boolean') return keywords ? everyType : noTypes
      const ofEach = (list: readonly SchemaNode[]): TypeSet => list.reduce((set, one) => set | this.of(one), noTypes)
      let types = everyType
      const listed = listedValues(keywords)
      if (listed !== undefined) types &= setOf(...listed.map(typeOf))
      if (keywords.type !== undefined) {
        types &= setOf(...keywords.type.map(type => type === 'integer' ? 'number' : type as JsonType))
      }
      for (const part of keywords.allOf ?? []) types &= this.of(part)
      if (keywords.anyOf !== undefined) types &= ofEach(keywords.anyOf)
      if (keywords.oneOf !== undefined) types &= ofEach(keywords.oneOf)
      const branches = conditionalBranches(keywords)
      if (branches !== undefined) types &= ofEach(branches)
      return types
    })
  }

  /** Returns the types for whose values the schema demands more that TypeScript can express. */
  detailed (schema: SchemaNode): TypeSet {
    return remember(this.#detailed, schema, () => {
      const { keywords } = schema
      if (typeof keywords === 'boolean') return noTypes
      if (listedValues(keywords) !== undefined) return this.of(schema)
      let types = ownDetails(keywords)
      for (const part of partsOf(keywords)) types |= this.detailed(part)
      return types & this.of(schema)
    })
  }
}

/** Returns the types about which the keywords of a schema itself demand more. */
export function ownDetails (keywords: Keywords): TypeSet {
  return (objectWords.some(word => keywords[word] !== undefined) ? objects : noTypes) |
    (arrayWords.some(word => keywords[word] !== undefined) ? arrays : noTypes)
}

/** Returns the branches of a conditional, of which one always holds: without one of them, it demands nothing. */
export function conditionalBranches (keywords: Keywords): SchemaNode[] | undefined {
  const { if: test, then, else: otherwise } = keywords
  return test === undefined || then === undefined || otherwise === undefined ? undefined : [then, otherwise]
}

function partsOf (keywords: Keywords): SchemaNode[] {
  const { allOf = [], anyOf = [], oneOf = [] } = keywords
  return [...allOf, ...anyOf, ...oneOf, ...conditionalBranches(keywords) ?? []]
}

function remember<K, V> (known: Map<K, V>, key: K, compute: () => V): V {
  const found = known.get(key)
  if (found !== undefined) return found
  const value = compute()
  known.set(key, value)
  return value
}
