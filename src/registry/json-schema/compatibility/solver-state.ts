import { type Formula, type Formulas, type Literal, type Of, subjectOf } from './formula.ts'
import { type Json, jsonTypes, type JsonType } from '../json.ts'
import type { Tick } from '../steps.ts'

/** The demands on a value of one type so far: literals, and clauses of each of which one part must hold. */
export interface State {
  readonly type: JsonType
  readonly literals: readonly Literal[]
  readonly clauses: readonly Of<'any'>[]
  /** The ids of the formulas that hold in this state. */
  readonly asserted: ReadonlySet<number>
}

interface Parts { readonly formulas: Formulas, readonly expand: (formula: Formula) => Formula, readonly tick: Tick }

export function startOf (parts: readonly Formula[], type: JsonType, context: Parts): State | undefined {
  return add({ type, literals: [], clauses: [], asserted: new Set() }, parts, context)
}

/** Returns the state in which one part satisfies a clause, or undefined if it contradicts another demand. */
export function settle (state: State, clause: Formula, part: Formula, context: Parts): State | undefined {
  return add({ ...state, clauses: [] }, [part, ...state.clauses.filter(other => other !== clause)], context)
}

/**
 * Returns the state with further demands and all that follows from them: a clause with one part left is a plain demand.
 * Returns undefined if they contradict each other.
 */
function add (state: State, parts: readonly Formula[], context: Parts): State | undefined {
  const asserted = new Set(state.asserted)
  const literals = [...state.literals]
  let clauses = [...state.clauses]
  const isDenied = (formula: Formula): boolean => asserted.has(opposite(formula, context.formulas))
  const queue = [...parts].reverse()

  for (let given = queue.pop(); given !== undefined; given = queue.pop() ?? recheck()) {
    context.tick()
    const next = reduce(given, state.type, context.formulas)
    if (next.kind === 'true' || asserted.has(next.id)) continue
    if (next.kind === 'false' || isDenied(next)) return undefined
    if (next.kind === 'all') { for (const part of next.parts) queue.push(part); continue }
    if (next.kind === 'any') {
      const clause = simplify(next)
      if (clause.kind === 'any') clauses.push(clause)
      else queue.push(clause)
      continue
    }
    asserted.add(next.id)
    if (next.kind === 'schema') queue.push(context.expand(next))
    else if (next.kind === 'in' && next.negated && (state.type === 'object' || state.type === 'array')) {
      queue.push(...unlike(next, state.type, context.formulas))
    } else literals.push(next as Literal)
  }
  return { type: state.type, literals, clauses, asserted }

  /** Returns a clause that has only one part left, which is then a plain demand. Queues further ones. */
  function recheck (): Formula | undefined {
    const before = clauses
    clauses = []
    let forced: Formula | undefined
    for (const clause of before) {
      const now = simplify(clause)
      if (now.kind === 'any') clauses.push(now)
      else if (forced === undefined) forced = now
      else queue.push(now)
    }
    return forced
  }

  /** Returns the clause without parts that can no longer hold, or true if a part already holds. */
  function simplify (clause: Of<'any'>): Formula {
    const left: Formula[] = []
    context.tick(1 + (clause.parts.length >> 1))
    for (const given of clause.parts) {
      const part = reduce(given, state.type, context.formulas)
      if (
        part.kind === 'true' || asserted.has(part.id) ||
        (part.kind === 'all' && part.parts.every(({ id }) => asserted.has(id)))
      ) return context.formulas.true
      if (part.kind === 'all' ? part.parts.some(isDenied) : part.kind !== 'false' && isDenied(part)) continue
      if (part.kind !== 'false') left.push(part)
    }
    return left.length === clause.parts.length ? clause : context.formulas.any(left)
  }
}

const reduced: Record<JsonType, WeakMap<Formula, Formula>> = {
  null: new WeakMap(),
  boolean: new WeakMap(),
  number: new WeakMap(),
  string: new WeakMap(),
  array: new WeakMap(),
  object: new WeakMap()
}

/** Returns the formula without the parts that the type alone decides. */
function reduce (formula: Formula, type: JsonType, formulas: Formulas): Formula {
  const known = reduced[type].get(formula)
  if (known !== undefined) return known
  const result = computeReduced(formula, type, formulas)
  reduced[type].set(formula, result)
  return result
}

function computeReduced (formula: Formula, type: JsonType, formulas: Formulas): Formula {
  switch (formula.kind) {
    case 'true': case 'false': case 'schema': case 'in': case 'opaque': return formula
    case 'types': return (formula.mask & 1 << jsonTypes.indexOf(type)) !== 0 ? formulas.true : formulas.false
    case 'all':
      if (formula.parts.some(part => part.kind === 'types' && (part.mask & 1 << jsonTypes.indexOf(type)) === 0)) {
        return formulas.false
      }
      return rejoin(formula, formula.parts.map(part => reduce(part, type, formulas)), formulas)
    case 'any': return rejoin(formula, formula.parts.map(part => reduce(part, type, formulas)), formulas)
    default: return subjectOf(formula) === type ? formula : formulas.true
  }
}

function rejoin (formula: Of<'all'> | Of<'any'>, parts: Formula[], formulas: Formulas): Formula {
  return parts.every((part, i) => part === formula.parts[i]) ? formula : formulas[formula.kind](parts)
}

const opposites = new WeakMap<Formula, number>()

/** Returns the id of the literal that contradicts this one. */
function opposite (formula: Formula, formulas: Formulas): number {
  const known = opposites.get(formula) ?? computeOpposite(formula, formulas)
  opposites.set(formula, known)
  return known
}

function computeOpposite (formula: Formula, formulas: Formulas): number {
  const negated = formulas.not(formula)
  if (subjectOf(formula) === undefined || negated.kind !== 'all') return negated.id
  const parts = negated.parts.filter(part => part.kind !== 'types')
  const [only] = parts
  return only !== undefined && parts.length === 1 ? only.id : negated.id
}

/** Returns the demands that a value is none of the listed objects or arrays, in terms of their members. */
function unlike (list: Of<'in'>, type: 'object' | 'array', formulas: Formulas): Formula[] {
  const demands: Formula[] = []
  for (const value of list.values.values()) {
    if (type === 'array' && Array.isArray(value)) demands.push(formulas.not(formulas.all(arrayLike(value, formulas))))
    if (type === 'object' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      demands.push(formulas.not(formulas.all(objectLike(value, formulas))))
    }
  }
  return demands
}

function arrayLike (value: Json[], formulas: Formulas): Formula[] {
  return [
    formulas.size('array', value.length, value.length),
    ...value.map((item, i) => formulas.item(i, formulas.in([item])))
  ]
}

function objectLike (value: { [key: string]: Json }, formulas: Formulas): Formula[] {
  return [
    formulas.everyKey(formulas.in(Object.keys(value), true), formulas.false),
    ...Object.entries(value).map(([name, member]) => formulas.someKey(formulas.in([name]), formulas.in([member])))
  ]
}
