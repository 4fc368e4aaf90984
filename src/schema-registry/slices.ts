import type { Json, JsonObject } from './json.ts'
import { write } from './emit.ts'
import { ANYTHING, inPlace, inside, type Keywords, node, reachable, type SchemaNode } from './schema-node.ts'

/** The word, in a slice, for "and here goes slice number n". */
export const SLICE = 'x-slice'
/** The word for "exactly one of these slices". */
export const ONE_OF_SLICES = 'x-one-of-slices'

/** One of them. `names`: it says nothing of objects that have no property of these names, nor of anything else. */
export interface Slice { readonly write: () => JsonObject | boolean, readonly names: ReadonlySet<string> | undefined }

const MEMBERS_MAX = 40
const WEIGHT_MAX = 60

/**
 * A large schema as many small ones that call each other, the first being the whole: Ajv takes more than linear time for
 * one large function, and nests it so deep that the engine refuses it.
 */
export function slice (root: SchemaNode): Slice[] {
  const split = splitAll(root)
  const numbers = new Map<SchemaNode, number>([[root, 0]])
  const weights = new Map<SchemaNode, number>()
  const weigh = (next: SchemaNode): number => {
    const known = weights.get(next)
    if (known !== undefined) return known
    weights.set(next, 1)
    const weight = 1 + [...inPlace(split.get(next) ?? next), ...inside(split.get(next) ?? next)].reduce((sum, child) => sum + weigh(child), 0)
    const isSlice = typeof next.keywords !== 'boolean' && (next.shared || weight > WEIGHT_MAX)
    if (isSlice && !numbers.has(next)) numbers.set(next, numbers.size)
    weights.set(next, isSlice ? 1 : weight)
    return weights.get(next)!
  }
  weigh(root)
  const child = (next: SchemaNode): Json => numbers.has(next) ? { [SLICE]: numbers.get(next)! } : writeOne(next)
  const writeOne = (next: SchemaNode): JsonObject | boolean => {
    const { keywords } = split.get(next) ?? next
    if (typeof keywords === 'boolean' || !isLargeOneOf(next)) return write(split.get(next) ?? next, child, true)
    const { oneOf, ...others } = keywords
    return { ...write(node(others), child, true) as JsonObject, [ONE_OF_SLICES]: oneOf!.map((branch) => numberOf(branch)) }
  }
  const numberOf = (branch: SchemaNode): number => {
    const number = numbers.get(branch) ?? numbers.size
    numbers.set(branch, number)
    return number
  }
  for (const next of reachable(root)) if (isLargeOneOf(next)) (next.keywords as Keywords).oneOf!.forEach(numberOf)
  return [...numbers.keys()].map((next) => ({ write: () => writeOne(next), names: namesOf(next) }))
}

function isLargeOneOf ({ keywords }: SchemaNode): boolean {
  return typeof keywords !== 'boolean' && (keywords.oneOf?.length ?? 0) > MEMBERS_MAX
}

function namesOf ({ keywords }: SchemaNode): Set<string> | undefined {
  if (typeof keywords === 'boolean' || Object.keys(keywords).join() !== 'properties') return undefined
  return new Set(keywords.properties!.keys())
}

/** What to write for the schemas that have too many members: the same, in groups. */
function splitAll (root: SchemaNode): Map<SchemaNode, SchemaNode> {
  const split = new Map<SchemaNode, SchemaNode>()
  for (const next of reachable(root)) {
    if (typeof next.keywords === 'boolean') continue
    const keywords = splitOne(next.keywords)
    if (keywords !== next.keywords) split.set(next, node(keywords))
  }
  return split
}

function splitOne (keywords: Keywords): Keywords {
  const groups: SchemaNode[] = []
  const result: Keywords = { ...keywords }
  for (const word of ['properties', 'patternProperties', 'dependentSchemas'] as const) {
    const members = keywords[word]
    if (members === undefined || members.size <= MEMBERS_MAX) continue
    for (const group of chunks([...members])) groups.push(node({ [word]: new Map(group) }, '', true))
    // The names stay, for `additionalProperties` beside them.
    result[word] = new Map([...members].map(([name]) => [name, ANYTHING]))
  }
  for (const group of chunks([...keywords.dependentRequired ?? []])) if ((keywords.dependentRequired?.size ?? 0) > MEMBERS_MAX) groups.push(node({ dependentRequired: new Map(group) }, '', true))
  if ((keywords.dependentRequired?.size ?? 0) > MEMBERS_MAX) delete result.dependentRequired
  if ((keywords.anyOf?.length ?? 0) > MEMBERS_MAX) result.anyOf = regroup(keywords.anyOf!, 'anyOf')
  const parts = [...keywords.allOf ?? [], ...groups]
  if (parts.length > MEMBERS_MAX) result.allOf = regroup(parts, 'allOf')
  else if (groups.length > 0) result.allOf = parts
  return groups.length > 0 || result.anyOf !== keywords.anyOf || result.allOf !== keywords.allOf ? result : keywords
}

function regroup (schemas: SchemaNode[], word: 'allOf' | 'anyOf'): SchemaNode[] {
  let groups = schemas
  while (groups.length > MEMBERS_MAX) groups = chunks(groups).map((group) => node({ [word]: group }, '', true))
  return groups
}

function chunks<T> (list: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / MEMBERS_MAX) }, (_, i) => list.slice(i * MEMBERS_MAX, (i + 1) * MEMBERS_MAX))
}
