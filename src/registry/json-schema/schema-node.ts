import type { Json } from './json.ts'

/**
 * A schema in the internal form, which is the same for all drafts: a graph whose edges include references. `$ref` is a
 * member of `allOf`, tuples are `prefixItems`, `dependencies` are split, and keywords without effect are omitted.
 */
export interface SchemaNode {
  /** JSON Pointer to the schema in the author's document. */
  readonly pointer: string
  readonly keywords: Keywords | boolean
  /** Whether nodes other than its parent refer to it. */
  shared: boolean
  /** The author's name of a keyword, if it is different (`dependencies`, `additionalItems`). */
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
  /** `unevaluatedItems` as plain keywords; see `unevaluated.ts`. */
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
  /** `unevaluatedProperties` as plain keywords; see `unevaluated.ts`. */
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

export const anything: SchemaNode = node(true)
export const nothing: SchemaNode = node(false)

/** Yields the subschemas that apply to the same value as the node itself. */
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

/** Yields the subschemas that apply to parts of the value: members, items, names. */
export function * inside ({ keywords }: SchemaNode): Generator<SchemaNode> {
  if (typeof keywords === 'boolean') return
  for (const map of [keywords.properties, keywords.patternProperties]) if (map !== undefined) yield * map.values()
  if (keywords.prefixItems !== undefined) yield * keywords.prefixItems
  const { additionalProperties, propertyNames, unevaluatedProperties, items, contains, unevaluatedItems } = keywords
  for (const one of [additionalProperties, propertyNames, unevaluatedProperties, items, contains, unevaluatedItems]) {
    if (one !== undefined) yield one
  }
}

/** The order of the reachable nodes. */
export interface NodeOrder {
  /** The nodes, each after its children. */
  readonly order: readonly SchemaNode[]
  /** The recursive nodes. */
  readonly loops: ReadonlySet<SchemaNode>
}

/** Returns the order of the nodes. Yields for each node, so that the work can pause. */
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

/** Returns the subschemas of a node. A subschema that is used several times is listed several times. */
export function childrenOf (parent: SchemaNode): SchemaNode[] {
  return [...inPlace(parent), ...inside(parent)]
}

export function pointerOf (owner: SchemaNode, keyword: keyof Keywords): string {
  return `${owner.pointer}/${owner.words[keyword] ?? keyword}`
}

/** Returns every reachable node once. */
export function reachable (...roots: SchemaNode[]): Set<SchemaNode> {
  return new Set(reaching(...roots))
}

/** Yields every reachable node once. */
export function * reaching (...roots: SchemaNode[]): Generator<SchemaNode, void> {
  const found = new Set(roots)
  for (const next of found) {
    for (const child of inPlace(next)) found.add(child)
    for (const child of inside(next)) found.add(child)
    yield next
  }
}
