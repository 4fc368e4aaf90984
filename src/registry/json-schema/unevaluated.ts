import { addSeen, isNothing, type MutableSeen, nothingSeen, ownSeen, type Seen } from './evaluated-members.ts'
import { anything, type Keywords, node, type SchemaNode } from './schema-node.ts'
import type { CompileWork } from './validation/compile-work.ts'

/**
 * One combination of the results of a schema's branches: the conditions on the value, and the evaluated members. A
 * schema with `anyOf: [A, B]` has four: each of A and B holds or does not.
 */
interface Scenario { readonly when: ReadonlySet<SchemaNode>, readonly seen: Seen }

interface MutableScenario {
  readonly when: Set<SchemaNode>
  readonly seen: MutableSeen
}

const unconditional: Scenario = { when: new Set(), seen: nothingSeen() }

/** Each scenario becomes a conditional, and every further branch may double their number. */
const scenariosMax = 64

/**
 * Limits the work for the scenarios of one `unevaluated…`, in names, patterns, kinds and conditions that are combined.
 */
const workMax = 100_000
/** The steps for one schema, in addition to its names. */
const scenarioSteps = 5
/** Limits recursion: a schema has the scenarios of the schemas in its branches, which have those of theirs. */
const depthMax = 200

/** Thrown when a schema has more scenarios, or takes more work, than the limits allow. */
class TooManyScenarios extends Error {}

/**
 * Rewrites `unevaluated…` as plain keywords, for the schemas of one document. Which members are evaluated depends on
 * the branches that hold for a value. Within one scenario they are known, so `unevaluatedProperties: S` becomes `if`
 * the conditions of the scenario hold, `then` all other properties satisfy S. Its generators yield regularly.
 */
export class Lowering {
  readonly #total: CompileWork
  readonly #known = new Map<SchemaNode, Scenario[]>()
  readonly #negations = new Map<SchemaNode, SchemaNode>()
  readonly #rules = new Map<typeof otherKeysFit, Map<readonly Scenario[], Map<unknown, SchemaNode>>>()
  #work = 0
  #depth = 0

  constructor (work: CompileWork) {
    this.#total = work
  }

  /**
   * Rewrites `unevaluatedProperties` and `unevaluatedItems` as plain keywords, with a conditional for each scenario.
   * Leaves the keywords as they are if there are too many scenarios.
   */
  * lower (target: SchemaNode): Generator<void, void> {
    if (typeof target.keywords === 'boolean') return
    const keywords: Keywords = target.keywords
    const { unevaluatedProperties, unevaluatedItems, ...others } = keywords
    if (unevaluatedProperties === undefined && unevaluatedItems === undefined) return
    this.#work = 0
    this.#depth = 0
    const scenarios = yield * this.#attempt(others)
    if (scenarios === undefined) return
    if (unevaluatedProperties !== undefined) {
      keywords.unevaluatedPropertiesRule = this.#ruleOf(scenarios, unevaluatedProperties, otherKeysFit)
    }
    if (unevaluatedItems !== undefined) {
      keywords.unevaluatedItemsRule = this.#ruleOf(scenarios, unevaluatedItems, otherItemsFit)
    }
  }

  /** Returns one rule for all schemas that have the same scenarios and the same schema for unevaluated members. */
  #ruleOf (scenarios: readonly Scenario[], unevaluated: SchemaNode, fit: typeof otherKeysFit): SchemaNode {
    const rules = this.#rules.get(fit) ?? new Map<readonly Scenario[], Map<unknown, SchemaNode>>()
    this.#rules.set(fit, rules)
    const same = rules.get(scenarios) ?? new Map<unknown, SchemaNode>()
    rules.set(scenarios, same)
    const key = typeof unevaluated.keywords === 'boolean' ? unevaluated.keywords : unevaluated
    const known = same.get(key)
    if (known !== undefined) return share(known)
    const made = rule(scenarios, seen => fit(seen, share(unevaluated)))
    same.set(key, made)
    return made
  }

  * #attempt (keywords: Keywords): Generator<void, Scenario[] | undefined> {
    try {
      return yield * this.#scenariosOf(keywords)
    } catch (error) {
      if (error instanceof TooManyScenarios) return undefined
      throw error
    }
  }

  #spend (steps: number): void {
    this.#work += steps
    if (this.#work > workMax) throw new TooManyScenarios()
  }

  /** Returns every scenario of a value that the schema accepts. */
  * #scenariosOf (keywords: Keywords): Generator<void, Scenario[]> {
    const { allOf = [], anyOf = [], oneOf, if: test, dependentSchemas = new Map<string, SchemaNode>() } = keywords
    const own = { when: new Set<SchemaNode>(), seen: ownSeen(keywords) }
    this.#spend(1 + sizeOf(own))
    if (this.#total.spend(scenarioSteps + sizeOf(own))) yield
    // Branches with one scenario are merged in place: there may be thousands.
    let scenarios: Scenario[] = []
    const multiply = (others: Scenario[]): void => {
      const [only] = others
      if (only !== undefined && others.length === 1) this.#add(own, only)
      else scenarios = scenarios.length === 0 ? others : this.#product(scenarios, others)
    }
    for (const branch of allOf) multiply(yield * this.#below(branch))
    for (const branch of anyOf) multiply(yield * this.#optional(branch))
    if (oneOf !== undefined) multiply(yield * this.#alternatives(oneOf))
    if (test !== undefined) multiply(yield * this.#conditional(test, keywords.then, keywords.else))
    for (const [name, schema] of dependentSchemas) multiply(yield * this.#dependent(name, schema))
    if (scenarios.length === 0) return [own]
    // Without members of its own, the schema has the very scenarios of its branch, so that rules can be shared.
    return own.when.size === 0 && isNothing(own.seen) ? scenarios : this.#product([own], scenarios)
  }

  #add (to: MutableScenario, { when, seen }: Scenario): void {
    this.#spend(1 + sizeOf({ when, seen }))
    for (const condition of when) to.when.add(condition)
    addSeen(to.seen, seen)
  }

  #product (some: readonly Scenario[], others: readonly Scenario[]): Scenario[] {
    if (some.length * others.length > scenariosMax) throw new TooManyScenarios()
    return some.flatMap(a => others.map(b => {
      const both = { when: new Set(a.when), seen: nothingSeen() }
      this.#add(both, { when: new Set(), seen: a.seen })
      this.#add(both, b)
      return both
    }))
  }

  * #below (schema: SchemaNode): Generator<void, Scenario[]> {
    if (typeof schema.keywords === 'boolean') return [unconditional]
    const known = this.#known.get(schema)
    if (known !== undefined) return known
    if (++this.#depth > depthMax) throw new TooManyScenarios()
    const scenarios = yield * this.#scenariosOf(schema.keywords)
    this.#depth--
    this.#known.set(schema, scenarios)
    return scenarios
  }

  #given (condition: SchemaNode, scenarios: readonly Scenario[]): Scenario[] {
    return scenarios.map(({ when, seen }) => {
      this.#spend(1 + when.size)
      return { when: new Set([condition, ...when]), seen }
    })
  }

  * #optional (branch: SchemaNode): Generator<void, Scenario[]> {
    const taken = yield * this.#below(branch)
    if (taken.every(({ seen }) => isNothing(seen))) return [unconditional]
    return [...this.#given(branch, taken), ...this.#given(this.#not(branch), [unconditional])]
  }

  /** Returns one scenario for each branch of a `oneOf`. The keyword itself ensures that no other branch holds. */
  * #alternatives (branches: readonly SchemaNode[]): Generator<void, Scenario[]> {
    const all: Scenario[] = []
    for (const branch of branches) all.push(...this.#given(branch, yield * this.#below(branch)))
    return all.every(({ seen }) => isNothing(seen)) ? [unconditional] : all
  }

  * #conditional (
    test: SchemaNode, then: SchemaNode = anything, otherwise: SchemaNode = anything
  ): Generator<void, Scenario[]> {
    const taken = this.#given(test, this.#product(yield * this.#below(test), yield * this.#below(then)))
    return [...taken, ...this.#given(this.#not(test), yield * this.#below(otherwise))]
  }

  * #dependent (name: string, schema: SchemaNode): Generator<void, Scenario[]> {
    const present = node({ type: ['object'], required: [name] })
    return [...this.#given(present, yield * this.#below(schema)), ...this.#given(this.#not(present), [unconditional])]
  }

  #not (schema: SchemaNode): SchemaNode {
    const negation = this.#negations.get(schema) ?? node({ not: share(schema) })
    this.#negations.set(schema, negation)
    return negation
  }
}

function rule (scenarios: readonly Scenario[], demand: (seen: Seen) => SchemaNode): SchemaNode {
  return node({
    allOf: scenarios.map(({ when, seen }) =>
      when.size === 0 ? demand(seen) : node({ if: node({ allOf: [...when].map(share) }), then: demand(seen) })
    )
  })
}

function otherKeysFit (seen: Seen, schema: SchemaNode): SchemaNode {
  if (seen.allKeys) return anything
  const unrestricted = (words: ReadonlySet<string>): Map<string, SchemaNode> =>
    new Map([...words].map(word => [word, anything]))
  return node({
    properties: unrestricted(seen.names), patternProperties: unrestricted(seen.patterns), additionalProperties: schema
  })
}

function otherItemsFit (seen: Seen, schema: SchemaNode): SchemaNode {
  if (seen.items === Infinity) return anything
  const items = seen.kinds.size === 0 ? schema : node({ anyOf: [schema, ...[...seen.kinds].map(share)] })
  return node(seen.items === 0 ? { items } : { prefixItems: Array.from({ length: seen.items }, () => anything), items })
}

function share (schema: SchemaNode): SchemaNode {
  schema.shared = true
  return schema
}

function sizeOf ({ when, seen }: Scenario): number {
  return when.size + seen.names.size + seen.patterns.size + seen.kinds.size
}
