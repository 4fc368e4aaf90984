import { ANYTHING, type Keywords, node, type SchemaNode } from './schema-node.ts'

/** What a schema has looked at in an object or array: all that is left is "unevaluated". */
export interface Seen {
  readonly names: ReadonlySet<string>
  readonly patterns: ReadonlySet<string>
  readonly allKeys: boolean
  readonly items: number
  /** Items that fit one of these were looked at by `contains`. */
  readonly kinds: readonly SchemaNode[]
}

/** One way in which the branches of a schema can turn out: what then holds of the value, and what has been looked at. */
interface Scenario { readonly when: readonly SchemaNode[], readonly seen: Seen }

const SCENARIOS_MAX = 64
const NOTHING_SEEN: Seen = { names: new Set(), patterns: new Set(), allKeys: false, items: 0, kinds: [] }

/**
 * Says `unevaluatedProperties` and `unevaluatedItems` in plain keywords, a conditional for each way in which the branches
 * can turn out. (Ajv's own bookkeeping of what is evaluated can fail at run time, and takes `contains` for all items.)
 * Too many ways are left as they are.
 */
export function lowerUnevaluated (target: SchemaNode): void {
  if (typeof target.keywords === 'boolean') return
  const keywords: Keywords = target.keywords
  const { unevaluatedProperties, unevaluatedItems, ...others } = keywords
  if (unevaluatedProperties === undefined && unevaluatedItems === undefined) return
  const scenarios = scenariosOf(others)
  if (scenarios === undefined) return
  if (unevaluatedProperties !== undefined) keywords.unevaluatedPropertiesRule = rule(scenarios, (seen) => otherKeysFit(seen, share(unevaluatedProperties)))
  if (unevaluatedItems !== undefined) keywords.unevaluatedItemsRule = rule(scenarios, (seen) => otherItemsFit(seen, share(unevaluatedItems)))
}

function rule (scenarios: readonly Scenario[], demand: (seen: Seen) => SchemaNode): SchemaNode {
  return node({ allOf: scenarios.map(({ when, seen }) => when.length === 0 ? demand(seen) : node({ if: node({ allOf: when.map(share) }), then: demand(seen) })) })
}

function otherKeysFit (seen: Seen, schema: SchemaNode): SchemaNode {
  if (seen.allKeys) return ANYTHING
  const anything = (words: ReadonlySet<string>): Map<string, SchemaNode> => new Map([...words].map((word) => [word, ANYTHING]))
  return node({ properties: anything(seen.names), patternProperties: anything(seen.patterns), additionalProperties: schema })
}

function otherItemsFit (seen: Seen, schema: SchemaNode): SchemaNode {
  if (seen.items === Infinity) return ANYTHING
  const items = seen.kinds.length === 0 ? schema : node({ anyOf: [schema, ...seen.kinds.map(share)] })
  return node(seen.items === 0 ? { items } : { prefixItems: Array.from({ length: seen.items }, () => ANYTHING), items })
}

function share (schema: SchemaNode): SchemaNode {
  schema.shared = true
  return schema
}

/** Every way in which the branches in place can turn out for a value that the schema accepts; undefined if too many. */
function scenariosOf (keywords: Keywords): Scenario[] | undefined {
  const { allOf = [], anyOf = [], oneOf, if: test, dependentSchemas = new Map<string, SchemaNode>() } = keywords
  const factors = [
    ...allOf.map(below),
    ...anyOf.map(optional),
    ...oneOf === undefined ? [] : [alternatives(oneOf)],
    ...test === undefined ? [] : [conditional(test, keywords.then, keywords.else)],
    ...[...dependentSchemas].map(([name, schema]) => dependent(name, schema))
  ]
  return factors.reduce<Scenario[] | undefined>(product, [{ when: [], seen: ownSeen(keywords) }])
}

function product (some: Scenario[] | undefined, others: Scenario[] | undefined): Scenario[] | undefined {
  if (some === undefined || others === undefined || some.length * others.length > SCENARIOS_MAX) return undefined
  return some.flatMap((a) => others.map((b) => ({ when: [...a.when, ...b.when], seen: merge(a.seen, b.seen) })))
}

const AS_IT_IS: Scenario = { when: [], seen: NOTHING_SEEN }

function below ({ keywords }: SchemaNode): Scenario[] | undefined {
  return typeof keywords === 'boolean' ? [AS_IT_IS] : scenariosOf(keywords)
}

function given (condition: SchemaNode, scenarios: Scenario[] | undefined): Scenario[] | undefined {
  return scenarios?.map(({ when, seen }) => ({ when: [condition, ...when], seen }))
}

function optional (branch: SchemaNode): Scenario[] | undefined {
  const taken = below(branch)
  if (taken?.every(({ seen }) => isNothing(seen)) === true) return [AS_IT_IS]
  return given(branch, taken)?.concat({ when: [not(branch)], seen: NOTHING_SEEN })
}

/** Exactly one branch of a `oneOf` holds: that the others do not, the keyword itself sees to. */
function alternatives (branches: readonly SchemaNode[]): Scenario[] | undefined {
  const all = branches.map((branch) => given(branch, below(branch)))
  if (all.every((scenarios) => scenarios?.every(({ seen }) => isNothing(seen)) === true)) return [AS_IT_IS]
  return all.reduce<Scenario[] | undefined>((sum, scenarios) => scenarios && sum?.concat(scenarios), [])
}

function conditional (test: SchemaNode, then: SchemaNode = ANYTHING, otherwise: SchemaNode = ANYTHING): Scenario[] | undefined {
  const taken = given(test, product(below(test), below(then)))
  const left = given(not(test), below(otherwise))
  return left && taken?.concat(left)
}

function dependent (name: string, schema: SchemaNode): Scenario[] | undefined {
  const present = node({ type: ['object'], required: [name] })
  return given(present, below(schema))?.concat({ when: [not(present)], seen: NOTHING_SEEN })
}

function not (schema: SchemaNode): SchemaNode {
  return node({ not: share(schema) })
}

function ownSeen (keywords: Keywords): Seen {
  return {
    names: new Set(keywords.properties?.keys()),
    patterns: new Set(keywords.patternProperties?.keys()),
    allKeys: keywords.additionalProperties !== undefined || keywords.unevaluatedProperties !== undefined,
    items: keywords.items !== undefined || keywords.unevaluatedItems !== undefined ? Infinity : keywords.prefixItems?.length ?? 0,
    kinds: keywords.contains === undefined ? [] : [keywords.contains]
  }
}

/** What is seen at least (`false`) or at most (`true`) whichever way the branches turn out. */
export function seenRoughly (keywords: Keywords, atMost: boolean): Seen {
  const { allOf = [], anyOf = [], oneOf = [], if: test, then, else: otherwise, dependentSchemas } = keywords
  const parts = atMost ? [...allOf, ...anyOf, ...oneOf, ...dependentSchemas?.values() ?? [], test, then, otherwise] : allOf
  return parts.reduce<Seen>((seen, part) => part === undefined || typeof part.keywords === 'boolean' ? seen : merge(seen, seenRoughly(part.keywords, atMost)), ownSeen(keywords))
}

function isNothing (seen: Seen): boolean {
  return seen.names.size === 0 && seen.patterns.size === 0 && !seen.allKeys && seen.items === 0 && seen.kinds.length === 0
}

function merge (a: Seen, b: Seen): Seen {
  return {
    names: new Set([...a.names, ...b.names]),
    patterns: new Set([...a.patterns, ...b.patterns]),
    allKeys: a.allKeys || b.allKeys,
    items: Math.max(a.items, b.items),
    kinds: [...a.kinds, ...b.kinds]
  }
}
