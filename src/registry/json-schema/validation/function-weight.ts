import type { Json } from '../json.ts'
import type { Keywords } from '../schema-node.ts'

/**
 * The maximum weight of one function: about 100 kB of code, which Ajv writes and the engine compiles in about 5 ms. A
 * subschema without members weighs 1.
 */
export const weightMax = 100
/** The maximum number of subschemas of one keyword in a function. */
export const membersMax = 40

/** Returns whether a keyword has more members than fit into one function. */
export function hasManyMembers (keywords: Keywords): boolean {
  const { properties, patternProperties, dependentSchemas, dependentRequired, prefixItems, allOf, anyOf, oneOf } =
    keywords
  const sizes = [
    properties?.size, patternProperties?.size, dependentSchemas?.size, dependentRequired?.size, prefixItems?.length,
    allOf?.length, anyOf?.length, oneOf?.length
  ]
  return sizes.some(size => size !== undefined && size > membersMax)
}

/** Returns the weight that the lists of a schema add to its function. */
export function ownWeight ({ required = [], enum: values = [], const: value, dependentRequired }: Keywords): number {
  let pairs = 0
  for (const others of dependentRequired?.values() ?? []) pairs += others.length
  return Math.floor(Math.min(required.length, requiredMax) / 8) + Math.floor(pairs / 2) +
    Math.floor((sizeOf(values, sizeMax) + sizeOf(value, sizeMax)) / 16)
}

/** For more names, Ajv writes a loop. */
const requiredMax = 200
const sizeMax = 1_000

/** Returns the number of values, up to a maximum. */
function sizeOf (value: Json | undefined, max: number): number {
  if (typeof value !== 'object' || value === null) return 1
  let size = 1
  for (const member of Object.values(value)) {
    if (size >= max) return size
    size += sizeOf(member, max - size)
  }
  return size
}

/** Returns the list in groups that each fit into one function. */
export function groupsOf<T> (list: readonly T[], weightOf: (member: T) => number): T[][] {
  const groups: T[][] = []
  let group: T[] = []
  let room = 0
  for (const member of list) {
    const weight = weightOf(member)
    if (groups.length === 0 || room < weight || group.length === membersMax) {
      group = []
      groups.push(group)
      room = weightMax
    }
    group.push(member)
    room -= weight
  }
  return groups
}
