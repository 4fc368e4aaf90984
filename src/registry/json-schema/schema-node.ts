import type { Json } from './json.ts'

/**
 * A schema in its one internal form, whichever draft it was written in: references are edges (so the whole is a graph),
 * tuples are `prefixItems`, `dependencies` are split, and words without effect are gone. `$ref` is a member of `allOf`.
 */
export interface SchemaNode {
  /** JSON Pointer to where it stands in the author's document. */
  readonly pointer: string
  readonly keywords: Keywords | boolean
  /** Whether other nodes than its parent lead here. */
  shared: boolean
  /** The author's word for a keyword, where it is another one (`dependencies`, `additionalItems`). */
  readonly words: Partial<Record<keyof Keywords, string>>
}

export interface Keywords {
  type?: string[]
  enum?: Json[]
  const?: Json
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
  contentEncoding?: string
  contentMediaType?: string
  contentSchema?: Json
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  prefixItems?: SchemaNode[]
  items?: SchemaNode
  contains?: SchemaNode
  minContains?: number
  maxContains?: number
  unevaluatedItems?: SchemaNode
  /** The same in plain keywords, see `evaluated.ts`. */
  unevaluatedItemsRule?: SchemaNode
  minProperties?: number
  maxProperties?: number
  required?: string[]
  properties?: Map<string, SchemaNode>
  patternProperties?: Map<string, SchemaNode>
  additionalProperties?: SchemaNode
  propertyNames?: SchemaNode
  dependentRequired?: Map<string, string[]>
  dependentSchemas?: Map<string, SchemaNode>
  unevaluatedProperties?: SchemaNode
  unevaluatedPropertiesRule?: SchemaNode
  allOf?: SchemaNode[]
  anyOf?: SchemaNode[]
  oneOf?: SchemaNode[]
  not?: SchemaNode
  if?: SchemaNode
  then?: SchemaNode
  else?: SchemaNode
}

export function node (keywords: Keywords | boolean, pointer = '', shared = false): SchemaNode {
  return { pointer, keywords, shared, words: {} }
}

export const ANYTHING: SchemaNode = node(true)
export const NOTHING: SchemaNode = node(false)

/** The subschemas that judge the same value as the node itself. */
export function * inPlace ({ keywords }: SchemaNode): Generator<SchemaNode> {
  if (typeof keywords === 'boolean') return
  for (const list of [keywords.allOf, keywords.anyOf, keywords.oneOf]) if (list !== undefined) yield * list
  for (
    const one of [
      keywords.not, keywords.if, keywords.then, keywords.else, keywords.unevaluatedItemsRule,
      keywords.unevaluatedPropertiesRule
    ]
  ) if (one !== undefined) yield one
  if (keywords.dependentSchemas !== undefined) yield * keywords.dependentSchemas.values()
}

/** The subschemas that judge what the value holds: members, items, names. */
export function * inside ({ keywords }: SchemaNode): Generator<SchemaNode> {
  if (typeof keywords === 'boolean') return
  for (const map of [keywords.properties, keywords.patternProperties]) if (map !== undefined) yield * map.values()
  if (keywords.prefixItems !== undefined) yield * keywords.prefixItems
  const { additionalProperties, propertyNames, unevaluatedProperties, items, contains, unevaluatedItems } = keywords
  for (const one of [additionalProperties, propertyNames, unevaluatedProperties, items, contains, unevaluatedItems]) {
    if (one !== undefined) yield one
  }
}

/** How the nodes that can be reached hang together. */
export interface NodeOrder {
  /** Each node after those that it leads to. */
  readonly order: readonly SchemaNode[]
  /** The nodes that lead back to themselves. */
  readonly loops: ReadonlySet<SchemaNode>
}

/** Yields for each node. */
export function * childrenFirst (root: SchemaNode): Generator<void, NodeOrder> {
  const order: SchemaNode[] = []
  const loops = new Set<SchemaNode>()
  const open = new Set([root])
  const done = new Set<SchemaNode>()
  const path: [SchemaNode, SchemaNode[]][] = [[root, childrenOf(root)]]
  for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
    const [parent, left] = last
    const next = left.pop()
    if (next === undefined) {
      path.pop()
      open.delete(parent)
      done.add(parent)
      order.push(parent)
      yield
    } else if (open.has(next)) loops.add(next)
    else if (!done.has(next)) {
      open.add(next)
      path.push([next, childrenOf(next)])
    }
  }
  return { order, loops }
}

/** The subschemas of a node, one as often as it is used. */
export function childrenOf (parent: SchemaNode): SchemaNode[] {
  return [...inPlace(parent), ...inside(parent)]
}

export function pointerOf (owner: SchemaNode, keyword: keyof Keywords): string {
  return `${owner.pointer}/${owner.words[keyword] ?? keyword}`
}

/** Every node that can be reached, each once. */
export function reachable (...roots: SchemaNode[]): Set<SchemaNode> {
  return new Set(reaching(...roots))
}

/** The same, one after the other. */
export function * reaching (...roots: SchemaNode[]): Generator<SchemaNode, void> {
  const found = new Set(roots)
  for (const next of found) {
    for (const child of inPlace(next)) found.add(child)
    for (const child of inside(next)) found.add(child)
    yield next
  }
}
