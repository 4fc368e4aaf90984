import type { Formula, Literal } from './formula.ts'
import { type Json, type JsonObject, setOwn } from '../json.ts'
import { KeyRules, type Slot } from './key-rules.ts'
import type { Reason } from './reasons.ts'
import { type Models, noModels, type Questions, unknown } from './models.ts'

const propertiesMax = 2_000

/** Finds objects that satisfy all literals. */
export function solveObject (literals: readonly Literal[], want: number, solver: Questions): Models {
  return new ObjectSearch(literals, want, solver).run()
}

/**
 * Searches for an object. Each required property either has a name that a literal mentions, or is in a slot: any
 * unmentioned name of a certain kind. The search tries all assignments, including shared slots. If all of them fail for
 * a certain reason, no such object exists.
 */
class ObjectSearch {
  readonly #solver: Questions
  readonly #want: number
  readonly #rules: KeyRules
  readonly #wanted: Slot[] = []
  readonly #required = new Map<string, Formula[]>()
  #min = 0
  #max = Infinity
  /** Why a search that finds no object does not prove that there is none. */
  #doubt: Reason | undefined

  constructor (literals: readonly Literal[], want: number, solver: Questions) {
    this.#solver = solver
    this.#want = want
    this.#rules = new KeyRules(literals, solver)
    for (const literal of literals) {
      if (literal.kind === 'size') {
        [this.#min, this.#max] = [Math.max(this.#min, literal.min), Math.min(this.#max, literal.max)]
      }
      if (literal.kind !== 'some-key') continue
      const name = this.#rules.onlyName(literal.keys)
      if (name === undefined) this.#wanted.push({ keys: literal.keys, then: literal.then })
      else this.#required.set(name, [...this.#required.get(name) ?? [], literal.then])
    }
  }

  run (): Models {
    if (this.#min > this.#max || this.#required.size > this.#max) return noModels
    for (const [name, demands] of this.#required) if (this.#value(name, demands) === undefined) return this.#failure()
    const found = this.#assign(0, this.#required, [])
    if (found === undefined) return this.#failure()
    return { values: [found, ...this.#want > 1 ? this.#variants(found) : []], exhausted: this.#max === 0 }
  }

  #failure (): Models {
    return this.#doubt === undefined ? noModels : unknown(this.#doubt)
  }

  #value (name: string, demands: readonly Formula[]): Json | undefined {
    const models = this.#solver.models([...this.#rules.demandsOn(name), ...demands])
    if (models.values.length === 0 && !models.exhausted) this.#doubt ??= models.reason ?? 'entangled'
    return models.values[0]
  }

  #assign (next: number, required: ReadonlyMap<string, Formula[]>, slots: readonly Slot[]): JsonObject | undefined {
    this.#solver.tick()
    const wanted = this.#wanted[next]
    if (wanted === undefined) return this.#complete(required, slots)
    const { formulas } = this.#solver
    for (const name of this.#rules.namesIn(wanted.keys)) {
      const demands = [...required.get(name) ?? [], wanted.then]
      if (this.#value(name, demands) === undefined) continue
      const found = this.#assign(next + 1, new Map(required).set(name, demands), slots)
      if (found !== undefined) return found
    }
    for (const [i, slot] of [...slots, undefined].entries()) {
      const shared = slot === undefined
        ? wanted
        : { keys: formulas.all([slot.keys, wanted.keys]), then: formulas.all([slot.then, wanted.then]) }
      const found = this.#assign(next + 1, required, [...slots.slice(0, i), shared, ...slots.slice(i + 1)])
      if (found !== undefined) return found
    }
    return undefined
  }

  #complete (required: ReadonlyMap<string, Formula[]>, slots: readonly Slot[]): JsonObject | undefined {
    if (required.size + slots.length > this.#max) return undefined
    const object: JsonObject = {}
    for (const [name, demands] of required) {
      const value = this.#value(name, demands)
      if (value === undefined) return undefined
      setOwn(object, name, value)
    }
    for (const slot of slots) {
      if (!this.#fillSlot(object, slot, Object.keys(object).length > required.size)) return undefined
    }
    return this.#fillUp(object) ? object : undefined
  }

  #fillSlot (object: JsonObject, slot: Slot, isCrowded: boolean): boolean {
    const found = this.#rules.findUnnamed(slot, Object.keys(object))
    if (found === undefined || 'reason' in found) {
      if (found !== undefined) this.#doubt ??= found.reason
      // An earlier slot may have taken the only name for this one.
      else if (isCrowded) this.#doubt ??= 'cardinality'
      return false
    }
    setOwn(object, found.key, found.value)
    return true
  }

  /** Adds optional properties until there are enough. */
  #fillUp (object: JsonObject): boolean {
    let missing = this.#min - Object.keys(object).length
    if (missing > propertiesMax) {
      this.#doubt ??= 'cardinality'
      return false
    }
    for (const name of missing > 0 ? this.#rules.names : []) {
      if (missing <= 0) break
      if (Object.hasOwn(object, name)) continue
      const value = this.#value(name, [])
      if (value === undefined) continue
      setOwn(object, name, value)
      missing--
    }
    for (; missing > 0; missing--) {
      if (!this.#fillSlot(object, { keys: this.#solver.formulas.true, then: this.#solver.formulas.true }, false)) {
        return false
      }
    }
    return true
  }

  /** Returns similar objects: with another value, or with an optional property. */
  #variants (object: JsonObject): Json[] {
    const variants: Json[] = []
    const room = Object.keys(object).length < this.#max
    for (const name of this.#rules.names) {
      if (variants.length >= this.#want * 2) break
      const isThere = Object.hasOwn(object, name)
      if (!isThere && !room) continue
      const { values } = this.#solver.models(
        [...this.#rules.demandsOn(name), ...this.#required.get(name) ?? []], this.#want
      )
      for (const value of values) variants.push(withKey(object, name, value))
    }
    return variants
  }
}

function withKey (object: JsonObject, key: string, value: Json): JsonObject {
  const copy = { ...object }
  setOwn(copy, key, value)
  return copy
}
