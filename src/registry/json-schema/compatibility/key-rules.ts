import { type Formula, type Literal, maskOf } from './formula.ts'
import type { Json } from '../json.ts'
import type { Reason } from './reasons.ts'
import type { Questions } from './models.ts'

/** A required property: its name is one of `keys`, and its value satisfies `then`. */
export interface Slot { readonly keys: Formula, readonly then: Formula }

const kindsMax = 64

/** The rules for properties that follow from an object's literals, by name. */
export class KeyRules {
  readonly #solver: Questions
  readonly #named = new Map<string, Formula[]>()
  readonly #general: Slot[] = []
  readonly #demands = new Map<string, Formula[]>()
  /** Every name that a literal mentions. All other names differ only in the patterns that they match. */
  readonly names = new Set<string>()

  constructor (literals: readonly Literal[], solver: Questions) {
    this.#solver = solver
    for (const literal of literals) {
      if (literal.kind === 'some-key') this.#mention(literal.keys)
      if (literal.kind !== 'every-key') continue
      this.#mention(literal.keys)
      if (literal.keys.kind === 'in' && !literal.keys.negated) {
        for (const name of texts(literal.keys)) this.#named.set(name, [...this.#named.get(name) ?? [], literal.then])
      } else this.#general.push({ keys: literal.keys, then: literal.then })
    }
  }

  #mention (keys: Formula): void {
    if (keys.kind === 'in') for (const name of texts(keys)) this.names.add(name)
    if (keys.kind === 'all' || keys.kind === 'any') keys.parts.forEach(part => { this.#mention(part) })
  }

  /** Returns the name if the formula contains a single one. */
  onlyName (keys: Formula): string | undefined {
    if (keys.kind !== 'in' || keys.negated || keys.values.size !== 1) return undefined
    return [...texts(keys)][0]
  }

  namesIn (keys: Formula): string[] {
    if (keys.kind === 'in' && !keys.negated) return [...texts(keys)]
    return [...this.names].filter(name => this.#solver.holds(keys, name))
  }

  demandsOn (name: string): Formula[] {
    const known = this.#demands.get(name)
    if (known !== undefined) return known
    const demands = [
      ...this.#named.get(name) ?? [],
      ...this.#general.filter(({ keys }) => this.#solver.holds(keys, name)).map(({ then }) => then)
    ]
    this.#demands.set(name, demands)
    return demands
  }

  /**
   * Returns a property with a name that is neither mentioned nor taken, or undefined if there is certainly none. Tries
   * names by kind: if no value fits one name, it excludes all names to which the same rules apply.
   */
  findUnnamed (slot: Slot, taken: readonly string[]): { key: string, value: Json } | { reason: Reason } | undefined {
    const { formulas } = this.#solver
    const kinds: Formula[] = [slot.keys, formulas.in([...this.names, ...taken], true)]
    let reason: Reason | undefined
    for (let i = 0; i < kindsMax; i++) {
      const names = this.#solver.models([formulas.types(stringMask), ...kinds])
      const key = names.values[0]
      if (typeof key !== 'string') {
        return names.exhausted
          ? reason && { reason }
          : { reason: names.reason ?? 'entangled' }
      }
      const rules = this.#general.filter(({ keys }) => this.#solver.holds(keys, key))
      const models = this.#solver.models([slot.then, ...rules.map(({ then }) => then)])
      const [value] = models.values
      if (value !== undefined) return { key, value }
      if (!models.exhausted) reason ??= models.reason ?? 'entangled'
      kinds.push(formulas.any(rules.map(({ keys }) => formulas.not(keys))))
    }
    return { reason: 'cardinality' }
  }
}

const stringMask = maskOf('string')

function * texts (list: Extract<Formula, { kind: 'in' }>): Generator<string> {
  for (const value of list.values.values()) if (typeof value === 'string') yield value
}
