import type { CompileWork } from './compile-work.ts'
import type { Json, JsonObject } from '../json.ts'
import { write } from '../emit.ts'
import { fuelKeyword } from './fuel.ts'
import { groupsOf, hasManyMembers, membersMax, ownWeight, weightMax } from './function-weight.ts'
import {
  knownKeyword, oneOfSlicesKeyword, othersKeyword, sliceKeyword, tupleKeyword, tupleStartKeyword
} from './slice-words.ts'
import { anything, childrenOf, type Keywords, node, type NodeOrder, type SchemaNode } from '../schema-node.ts'

/**
 * A part of a schema that Ajv compiles to one function. With `names`, it applies only to objects that have a property
 * with one of these names.
 */
export interface Slice { readonly write: () => JsonObject | boolean, readonly names?: ReadonlySet<string> | undefined }

/** A shared schema up to this weight is copied to each place that uses it: a call would be as large, and slower. */
const copiedWeightMax = 4

/** A schema whose keywords have too many members for one function, split into slices. */
interface Split {
  readonly keywords: Keywords
  /** Further slices that must all hold. */
  readonly calls: readonly number[]
  readonly oneOf: readonly number[] | undefined
  readonly others: { readonly schema: SchemaNode, readonly names: string[], readonly patterns: string[] } | undefined
  readonly weight: number
}

/**
 * Splits a schema into functions that call each other. The first is the whole schema. Each shared definition is one
 * function, compiled once however many schemas refer to it, and a schema that is too large for one function becomes
 * several. So compile time is linear in the size of the schema, and no function takes long.
 */
export function * slicing (root: SchemaNode, order: NodeOrder, work: CompileWork): Generator<void, Slice[]> {
  const slicer = new Slicer()
  yield * slicer.slice(root, order, work)
  return slicer.slices
}

/** The steps of slicing for a subschema. */
const sliceSteps = 5

class Slicer {
  readonly slices: Slice[] = []
  readonly #numbers = new Map<SchemaNode, number>()
  readonly #weights = new Map<SchemaNode, number>()
  readonly #splits = new Map<SchemaNode, Split>()

  #numberOf (next: SchemaNode): number {
    let number = this.#numbers.get(next)
    if (number === undefined) {
      number = this.#add({ write: () => this.#write(next), names: namesOf(next) })
      this.#numbers.set(next, number)
    }
    return number
  }

  * slice (root: SchemaNode, { order, loops }: NodeOrder, work: CompileWork): Generator<void, void> {
    this.#numberOf(root)
    for (const next of loops) this.#numberOf(next)
    for (const next of order) {
      const weight = this.#weigh(next)
      this.#weights.set(next, weight)
      if (next.shared && weight > copiedWeightMax) this.#numberOf(next)
      if (work.spend(sliceSteps)) yield
    }
  }

  #add (slice: Slice): number {
    return this.slices.push(slice) - 1
  }

  /** Returns the weight of a schema where it is used. A call weighs as much as a small schema. */
  #weightOf (next: SchemaNode): number {
    return this.#numbers.has(next) ? 1 : this.#weights.get(next) ?? 1
  }

  #weigh (next: SchemaNode): number {
    const { keywords } = next
    if (typeof keywords === 'boolean') return 1
    const own = 1 + ownWeight(keywords)
    const children = childrenOf(next)
    const weight = this.#makeSlices(children, own)
    if (weight <= weightMax && !hasManyMembers(keywords)) return weight
    const split = this.#split(keywords)
    this.#splits.set(next, split)
    return split.weight
  }

  /**
   * Moves the heaviest children into their own functions until the rest fits into one. Returns the weight of the rest.
   */
  #makeSlices (children: SchemaNode[], own: number): number {
    let weight = children.reduce((sum, child) => sum + this.#weightOf(child), own)
    if (weight <= weightMax) return weight
    for (const child of children.toSorted((a, b) => this.#weightOf(b) - this.#weightOf(a))) {
      const before = this.#weightOf(child)
      if (before <= copiedWeightMax) break
      this.#numberOf(child)
      weight -= before - 1
      if (weight <= weightMax) break
    }
    return children.reduce((sum, child) => sum + this.#weightOf(child), own)
  }

  #split (keywords: Keywords): Split {
    const rest: Keywords = { ...keywords }
    const calls: number[] = []
    for (const word of ['properties', 'patternProperties', 'dependentSchemas'] as const) {
      const members = keywords[word]
      if (members === undefined || !this.#isLarge([...members.values()])) continue
      for (const group of groupsOf([...members], ([, member]) => this.#weightOf(member))) {
        calls.push(this.#sliceOf({ [word]: new Map(group) }))
      }
      delete rest[word]
    }
    const others = this.#splitOthers(keywords, rest)
    this.#splitDependentRequired(rest, calls)
    this.#splitTuple(rest, calls)
    const { anyOf, allOf } = keywords
    if (anyOf !== undefined && this.#isLarge(anyOf)) rest.anyOf = this.#regroup(anyOf, 'anyOf')
    if (allOf !== undefined && this.#isLarge(allOf)) rest.allOf = this.#regroup(allOf, 'allOf')
    const oneOf = this.#splitOneOf(rest)
    const grouped = this.#groupCalls(calls)
    const weight = childrenOf(node(rest)).reduce(
      (sum, child) => sum + (child === anything ? 0 : this.#weightOf(child)), 1 + ownWeight(rest) + grouped.length
    )
    return { keywords: rest, calls: grouped, oneOf, others, weight }
  }

  /** Keeps the names of properties that were split off, so that `additionalProperties` does not apply to them. */
  #splitOthers (keywords: Keywords, rest: Keywords): Split['others'] {
    const {
      additionalProperties, properties = new Map<string, SchemaNode>(),
      patternProperties = new Map<string, SchemaNode>()
    } = keywords
    if (additionalProperties === undefined) return undefined
    if (patternProperties.size <= membersMax) {
      if (rest.properties === undefined && properties.size > 0) rest.properties = namesAlone(properties)
      if (rest.patternProperties === undefined && patternProperties.size > 0) {
        rest.patternProperties = namesAlone(patternProperties)
      }
      return undefined
    }
    delete rest.additionalProperties
    return { schema: additionalProperties, names: [...properties.keys()], patterns: [...patternProperties.keys()] }
  }

  #splitDependentRequired (rest: Keywords, calls: number[]): void {
    const pairs = [...rest.dependentRequired ?? []].flatMap(([name, others]) =>
      others.map((other): [string, string] => [name, other])
    )
    if (pairs.length <= membersMax) return
    delete rest.dependentRequired
    for (const group of groupsOf(pairs, () => 1)) {
      const dependentRequired = new Map<string, string[]>()
      for (const [name, other] of group) dependentRequired.set(name, [...dependentRequired.get(name) ?? [], other])
      calls.push(this.#sliceOf({ dependentRequired }))
    }
  }

  #splitTuple (rest: Keywords, calls: number[]): void {
    const tuple = rest.prefixItems
    if (tuple === undefined || !this.#isLarge(tuple)) return
    // Keeps the length, which `items` depends on.
    rest.prefixItems = tuple.map(() => anything)
    let start = 0
    for (const group of groupsOf(tuple, item => this.#weightOf(item))) {
      const at = start
      calls.push(this.#add({
        write: () => ({ [fuelKeyword]: true, [tupleKeyword]: group.map(this.#child), [tupleStartKeyword]: at })
      }))
      start += group.length
    }
  }

  #splitOneOf (rest: Keywords): number[] | undefined {
    const { oneOf } = rest
    if (oneOf === undefined || !this.#isLarge(oneOf)) return undefined
    delete rest.oneOf
    return oneOf.map(branch => this.#numberOf(branch))
  }

  #isLarge (members: readonly SchemaNode[]): boolean {
    return members.length > membersMax ||
      members.reduce((sum, member) => sum + this.#weightOf(member), 0) > weightMax / 2
  }

  #sliceOf (keywords: Keywords): number {
    return this.#numberOf(node(keywords))
  }

  /** Returns the list in groups that each fit into one function. */
  #regroup (schemas: readonly SchemaNode[], word: 'allOf' | 'anyOf'): SchemaNode[] {
    let groups = [...schemas]
    do {
      groups = groupsOf(groups, schema => this.#weightOf(schema)).map(group => {
        const one = node({ [word]: group })
        this.#numberOf(one)
        return one
      })
    } while (groups.length > membersMax)
    return groups
  }

  #groupCalls (calls: readonly number[]): number[] {
    let groups = [...calls]
    while (groups.length > membersMax) {
      groups = groupsOf(groups, () => 1).map(group =>
        this.#add({ write: () => ({ [fuelKeyword]: true, allOf: group.map(toCall) }) })
      )
    }
    return groups
  }

  readonly #child = (next: SchemaNode): Json => {
    const number = this.#numbers.get(next)
    return number === undefined ? this.#write(next) : toCall(number)
  }

  #write (next: SchemaNode): JsonObject | boolean {
    const split = this.#splits.get(next)
    if (split === undefined) return write(next, this.#child, true)
    const result: JsonObject = { [fuelKeyword]: true, ...write(node(split.keywords), this.#child, true) as JsonObject }
    if (split.calls.length > 0) {
      result['allOf'] = [...result['allOf'] as Json[] | undefined ?? [], ...split.calls.map(toCall)]
    }
    if (split.oneOf !== undefined) result[oneOfSlicesKeyword] = [...split.oneOf]
    if (split.others !== undefined) {
      const { schema, names, patterns } = split.others
      Object.assign(result, { [othersKeyword]: this.#child(schema), [knownKeyword]: { names, patterns } })
    }
    return result
  }
}

const namesAlone = (members: ReadonlyMap<string, SchemaNode>) => new Map([...members].map(([name]) => [name, anything]))

const toCall = (number: number): JsonObject => ({ [sliceKeyword]: number })

function namesOf ({ keywords }: SchemaNode): Set<string> | undefined {
  if (typeof keywords === 'boolean' || keywords.properties === undefined) return undefined
  return Object.keys(keywords).length === 1 ? new Set(keywords.properties.keys()) : undefined
}
