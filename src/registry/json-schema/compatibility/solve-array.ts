import type { Formula, Literal, Of } from './formula.ts'
import { canonical, type Json } from '../json.ts'
import { pickDistinct } from './pick-distinct.ts'
import type { Reason } from './reasons.ts'
import { type Models, noModels, type Questions, unknown } from './models.ts'

const itemsMax = 1_000
const pairsMax = 60

/** Finds arrays that satisfy all literals. */
export function solveArray (literals: readonly Literal[], want: number, solver: Questions): Models {
  return new ArraySearch(literals, solver).run(want)
}

/** The formula of the item at each position of an array that satisfies the literals. */
type Layout = Formula[]

class ArraySearch {
  readonly #solver: Questions
  readonly #items = new Map<number, Formula[]>()
  readonly #rests: Of<'rest'>[] = []
  readonly #counts: Of<'count'>[] = []
  #min = 0
  #max = Infinity
  /** From this position on, the same rules apply to all positions. */
  #tail = 0
  #isUnique = false
  #isRepeating = false
  /** Why a search that finds no array does not prove that there is none. */
  #doubt: Reason | undefined

  constructor (literals: readonly Literal[], solver: Questions) {
    this.#solver = solver
    for (const literal of literals) this.#take(literal)
  }

  #take (literal: Literal): void {
    switch (literal.kind) {
      case 'size':
        ;[this.#min, this.#max] = [Math.max(this.#min, literal.min), Math.min(this.#max, literal.max)]
        break
      case 'item':
        this.#demand(literal.index, literal.then)
        this.#tail = Math.max(this.#tail, literal.index + 1)
        break
      case 'rest':
        this.#rests.push(literal)
        this.#tail = Math.max(this.#tail, literal.from)
        break
      case 'count':
        this.#counts.push(literal)
        this.#tail = Math.max(this.#tail, literal.from)
        break
      case 'unique':
        if (literal.negated) this.#isRepeating = true
        else this.#isUnique = true
    }
  }

  #demand (index: number, then: Formula): void {
    this.#items.set(index, [...this.#items.get(index) ?? [], then])
  }

  run (want: number): Models {
    if (this.#min > this.#max || (this.#isRepeating && this.#max < 2)) return noModels
    if (this.#min > itemsMax) return unknown('cardinality')
    const found = this.#isRepeating ? this.#repeating() : this.#find()
    if (found === undefined) return this.#doubt === undefined ? noModels : unknown(this.#doubt)
    return { values: [found, ...want > 1 ? this.#variants(found, want) : []], exhausted: this.#max === 0 }
  }

  #at (position: number): Formula {
    return this.#solver.formulas.all([
      ...this.#items.get(position) ?? [],
      ...this.#rests.filter(({ from }) => from <= position).map(({ then }) => then)
    ])
  }

  #find (): Json[] | undefined {
    if (this.#isUnique && this.#hasTooFewValues()) return undefined
    const layout = this.#layOut()
    if (layout === undefined) return undefined
    if (!this.#isUnique) return layout.flatMap(formula => this.#solver.models([formula]).values.slice(0, 1))
    const distinct = pickDistinct(layout.map(formula => this.#solver.models([formula], layout.length + 1)))
    if (distinct === undefined) this.#doubt ??= 'cardinality'
    return distinct
  }

  /** Returns whether the required positions have fewer distinct values than there are positions. */
  #hasTooFewValues (): boolean {
    const domains = Array.from({ length: this.#min }, (_, i) => this.#solver.models([this.#at(i)], this.#min + 1))
    return domains.every(({ exhausted }) => exhausted) && pickDistinct(domains) === undefined
  }

  /**
   * Returns the shortest layout. At each position, the item is or is not of each counted kind; the rest depends only on
   * how many of each there were. Any longer array could be shortened.
   */
  #layOut (): Layout | undefined {
    const wanted = this.#counts.reduce((sum, { min }) => sum + min, 0)
    const longest = Math.min(this.#max, Math.max(this.#min, this.#tail) + wanted)
    if (longest > itemsMax * 2) this.#doubt ??= 'cardinality'
    const dead = new Set<string>()
    const walk = (layout: Layout, seen: readonly number[]): Layout | undefined => {
      this.#solver.tick()
      const position = layout.length
      if (position >= this.#min && this.#counts.every(({ min }, i) => (seen[i] ?? 0) >= min)) return layout
      if (position >= Math.min(longest, itemsMax * 2)) return undefined
      const key = `${position} ${seen.join()}`
      if (dead.has(key)) return undefined
      for (const [formula, counts] of this.#choices(position, seen)) {
        if (!this.#isPossible(formula)) continue
        const found = walk([...layout, formula], counts)
        if (found !== undefined) return found
      }
      dead.add(key)
      return undefined
    }
    return walk([], this.#counts.map(() => 0))
  }

  /** Yields the combinations of counted kinds that the item at a position can be of, with the resulting counts. */
  * #choices (position: number, seen: readonly number[]): Generator<[Formula, number[]]> {
    const { formulas } = this.#solver
    let choices: [Formula[], number[]][] = [[[this.#at(position)], []]]
    for (const [i, { from, of, min, max }] of this.#counts.entries()) {
      const count = seen[i] ?? 0
      choices = choices.flatMap(([parts, counts]): [Formula[], number[]][] => {
        if (position < from) return [[parts, [...counts, 0]]]
        const options: [Formula[], number[]][] = []
        if (count < (max === Infinity ? min : max)) options.push([[...parts, of], [...counts, count + 1]])
        options.push([max === Infinity ? parts : [...parts, formulas.not(of)], [...counts, count]])
        return count < min ? options : options.reverse()
      })
    }
    for (const [parts, counts] of choices) yield [formulas.all(parts), counts]
  }

  #isPossible (formula: Formula): boolean {
    const { values, exhausted, reason } = this.#solver.models([formula])
    if (values.length === 0 && !exhausted) this.#doubt ??= reason ?? 'entangled'
    return values.length > 0
  }

  /** Returns an array in which two items are equal. Tries every pair of positions, with some values that both allow. */
  #repeating (): Json[] | undefined {
    const last = Math.min(this.#max, this.#tail + 2)
    let pairs = 0
    for (let j = 1; j < last; j++) {
      for (let i = 0; i < j; i++) {
        if (++pairs > pairsMax) { this.#doubt ??= 'cardinality'; return undefined }
        const shared = this.#solver.models([this.#at(i), this.#at(j)], 4)
        for (const value of shared.values) {
          const found = this.#withPair(i, j, value)
          if (found !== undefined) return found
        }
        if (!shared.exhausted) this.#doubt ??= shared.reason ?? 'cardinality'
      }
    }
    return undefined
  }

  #withPair (i: number, j: number, value: Json): Json[] | undefined {
    const only = this.#solver.formulas.in([value])
    const before = { min: this.#min, tail: this.#tail, items: new Map(this.#items) }
    this.#demand(i, only)
    this.#demand(j, only)
    this.#min = Math.max(this.#min, j + 1)
    this.#tail = Math.max(this.#tail, j + 1)
    const found = this.#find()
    this.#min = before.min
    this.#tail = before.tail
    this.#items.clear()
    for (const [index, demands] of before.items) this.#items.set(index, demands)
    return found
  }

  /** Returns longer arrays, and arrays with another value at one position. Omits those that violate a literal. */
  #variants (found: Json[], want: number): Json[] {
    const variants = new Map<string, Json>()
    const fits = (value: Json[]): boolean => value.length >= this.#min && value.length <= this.#max &&
      value.every((item, i) => this.#solver.holds(this.#at(i), item)) &&
      this.#counts.every(literal => this.#solver.holds(literal, value)) &&
      (!this.#isUnique && !this.#isRepeating
        ? true
        : (new Set(value.map(canonical)).size === value.length) === this.#isUnique)
    const offer = (value: Json[]): void => {
      if (variants.size < want && fits(value)) variants.set(canonical(value), value)
    }
    for (let position = 0; position <= Math.min(found.length, 20); position++) {
      const { values } = this.#solver.models([this.#at(position)], want)
      for (const value of values) offer(found.toSpliced(position, 1, value))
    }
    variants.delete(canonical(found))
    return [...variants.values()]
  }
}
