import type { Json, JsonType } from '../json.ts'
import { canonical, jsonTypes } from '../json.ts'
import type { SchemaNode } from '../schema-node.ts'
import type { Reason } from './reasons.ts'
import type { Tick } from '../steps.ts'

/**
 * A set of JSON values. A literal about one type contains every value of any other type, as with keywords. `Formulas`
 * creates each formula once: equal formulas are the same object.
 */
export type Formula = { readonly id: number } & Shape
type Shape =
  | { readonly kind: 'true' | 'false' }
  | { readonly kind: 'all', readonly parts: readonly Formula[] }
  | { readonly kind: 'any', readonly parts: readonly Formula[] }
  | { readonly kind: 'schema', readonly node: SchemaNode, readonly negated: boolean }
  | { readonly kind: 'types', readonly mask: number }
  | { readonly kind: 'in', readonly values: ReadonlyMap<string, Json>, readonly negated: boolean }
  | { readonly kind: 'min' | 'max', readonly value: number, readonly exclusive: boolean }
  | { readonly kind: 'multiple', readonly of: number, readonly negated: boolean }
  | { readonly kind: 'size', readonly of: 'string' | 'array' | 'object', readonly min: number, readonly max: number }
  | { readonly kind: 'pattern', readonly source: string, readonly negated: boolean }
  | { readonly kind: 'format', readonly name: string, readonly negated: boolean }
  // Every (or some) member whose name is in `keys` is in `then`.
  | { readonly kind: 'every-key' | 'some-key', readonly keys: Formula, readonly then: Formula }
  // The item at `index`, if there is one, is in `then`.
  | { readonly kind: 'item', readonly index: number, readonly then: Formula }
  // All items from this position on are in `then`.
  | { readonly kind: 'rest', readonly from: number, readonly then: Formula }
  // The number of items from this position on that are in `of` is within the bounds.
  | { readonly kind: 'count', readonly from: number, readonly of: Formula, readonly min: number, readonly max: number }
  | { readonly kind: 'unique', readonly negated: boolean }
  // A demand that the checker cannot decide. It contradicts only its own negation.
  | { readonly kind: 'opaque', readonly key: string, readonly reason: Reason, readonly negated: boolean }

export type Literal = Exclude<Formula, { kind: 'true' | 'false' | 'all' | 'any' | 'schema' | 'types' }>
/** A literal that restricts the values of one type. */
export type TypedLiteral = Exclude<Literal, { kind: 'in' | 'opaque' }>
export type Of<K extends Formula['kind']> = Extract<Formula, { kind: K }>

export function maskOf (...types: JsonType[]): number {
  return types.reduce((mask, type) => mask | 1 << jsonTypes.indexOf(type), 0)
}
const everyType = maskOf(...jsonTypes)

/** Returns the type that a literal restricts, or undefined if it restricts all types. */
export function subjectOf (literal: TypedLiteral): JsonType
export function subjectOf (literal: Formula): JsonType | undefined
export function subjectOf (literal: Formula): JsonType | undefined {
  switch (literal.kind) {
    case 'min': case 'max': case 'multiple': return 'number'
    case 'size': return literal.of
    case 'pattern': case 'format': return 'string'
    case 'every-key': case 'some-key': return 'object'
    case 'item': case 'rest': case 'count': case 'unique': return 'array'
  }
}

/** Creates formulas, simplifies them where that is easy, and negates them exactly. */
export class Formulas {
  readonly #made = new Map<string, Formula>()
  readonly #classes: ReadonlyMap<SchemaNode, number>
  readonly #texts = new Map<string, number>()
  readonly #tick: Tick
  readonly true = this.#make('true', { kind: 'true' })
  readonly false = this.#make('false', { kind: 'false' })

  constructor (classes: ReadonlyMap<SchemaNode, number>, tick: Tick) {
    this.#classes = classes
    this.#tick = tick
  }

  #make (key: string, shape: Shape): Formula {
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const formula: Formula = { id: this.#made.size, ...shape }
    this.#made.set(key, formula)
    return formula
  }

  /** Returns a number for a text, so that the keys of formulas stay short. */
  #textId (text: string): number {
    const known = this.#texts.get(text) ?? this.#texts.size
    this.#texts.set(text, known)
    return known
  }

  schema (node: SchemaNode, negated = false): Formula {
    if (typeof node.keywords === 'boolean') return node.keywords === negated ? this.false : this.true
    return this.#make(`schema ${this.#classes.get(node)} ${negated}`, { kind: 'schema', node, negated })
  }

  all (parts: readonly Formula[]): Formula {
    return this.#join('all', parts, this.true, this.false)
  }

  any (parts: readonly Formula[]): Formula {
    return this.#join('any', parts, this.false, this.true)
  }

  #join (kind: 'all' | 'any', parts: readonly Formula[], neutral: Formula, absorbing: Formula): Formula {
    const flat = new Map<number, Formula>()
    this.#tick(1 + (parts.length >> 2))
    for (const part of parts) {
      if (part === absorbing) return absorbing
      if (part === neutral) continue
      for (const inner of part.kind === kind ? part.parts : [part]) flat.set(inner.id, inner)
    }
    const list = [...flat.values()]
    const [only] = list
    if (only === undefined) return neutral
    this.#tick(list.length >> 2)
    return list.length === 1
      ? only
      : this.#make(`${kind} ${[...flat.keys()].sort((a, b) => a - b).join()}`, { kind, parts: list })
  }

  types (mask: number): Formula {
    return mask === 0
      ? this.false
      : mask === everyType
        ? this.true
        : this.#make(`types ${mask}`, { kind: 'types', mask })
  }

  in (values: readonly Json[], negated = false): Formula {
    if (values.length === 0) return negated ? this.true : this.false
    const texts = new Map(values.map(value => [canonical(value), value]))
    this.#tick(values.length)
    return this.#in(texts, negated)
  }

  #in (values: ReadonlyMap<string, Json>, negated: boolean): Formula {
    const text = this.#textId([...values.keys()].sort().join())
    return this.#make(`in ${text} ${negated}`, { kind: 'in', values, negated })
  }

  bound (kind: 'min' | 'max', value: number, exclusive: boolean): Formula {
    return this.#make(`${kind} ${value} ${exclusive}`, { kind, value, exclusive })
  }

  multiple (of: number, negated = false): Formula {
    return this.#make(`multiple ${of} ${negated}`, { kind: 'multiple', of, negated })
  }

  size (of: 'string' | 'array' | 'object', min: number, max = Infinity): Formula {
    if (min <= 0 && max === Infinity) return this.true
    return this.#make(`size ${of} ${min} ${max}`, { kind: 'size', of, min, max })
  }

  pattern (source: string, negated = false): Formula {
    return this.#make(`pattern ${this.#textId(source)} ${negated}`, { kind: 'pattern', source, negated })
  }

  format (name: string, negated = false): Formula {
    return this.#make(`format ${name} ${negated}`, { kind: 'format', name, negated })
  }

  everyKey (keys: Formula, then: Formula): Formula {
    if (then === this.true || keys === this.false) return this.true
    return this.#make(`every-key ${keys.id} ${then.id}`, { kind: 'every-key', keys, then })
  }

  someKey (keys: Formula, then: Formula): Formula {
    return this.#make(`some-key ${keys.id} ${then.id}`, { kind: 'some-key', keys, then })
  }

  item (index: number, then: Formula): Formula {
    return then === this.true ? then : this.#make(`item ${index} ${then.id}`, { kind: 'item', index, then })
  }

  rest (from: number, then: Formula): Formula {
    return then === this.true ? then : this.#make(`rest ${from} ${then.id}`, { kind: 'rest', from, then })
  }

  count (from: number, of: Formula, min: number, max = Infinity): Formula {
    if (max === 0) return min > 0 ? this.types(everyType & ~maskOf('array')) : this.rest(from, this.not(of))
    if (min <= 0 && max === Infinity) return this.true
    return this.#make(`count ${from} ${of.id} ${min} ${max}`, { kind: 'count', from, of, min, max })
  }

  unique (negated = false): Formula {
    return this.#make(`unique ${negated}`, { kind: 'unique', negated })
  }

  opaque (key: string, reason: Reason, negated = false): Formula {
    return this.#make(`opaque ${this.#textId(key)} ${negated}`, { kind: 'opaque', key, reason, negated })
  }

  not (formula: Formula): Formula {
    switch (formula.kind) {
      case 'true': return this.false
      case 'false': return this.true
      case 'all': return this.any(formula.parts.map(part => this.not(part)))
      case 'any': return this.all(formula.parts.map(part => this.not(part)))
      case 'schema': return this.schema(formula.node, !formula.negated)
      case 'types': return this.types(everyType & ~formula.mask)
      case 'in': return this.#in(formula.values, !formula.negated)
      case 'opaque': return this.opaque(formula.key, formula.reason, !formula.negated)
      default: return this.all([this.types(maskOf(subjectOf(formula))), this.#opposite(formula)])
    }
  }

  /** Returns the negation of a literal among the values of its type. */
  #opposite (literal: TypedLiteral): Formula {
    switch (literal.kind) {
      case 'min':
        return this.bound('max', literal.value, !literal.exclusive)
      case 'max':
        return this.bound('min', literal.value, !literal.exclusive)
      case 'multiple':
        return this.multiple(literal.of, !literal.negated)
      case 'pattern':
        return this.pattern(literal.source, !literal.negated)
      case 'format':
        return this.format(literal.name, !literal.negated)
      case 'unique':
        return this.unique(!literal.negated)
      case 'every-key':
        return this.someKey(literal.keys, this.not(literal.then))
      case 'some-key':
        return this.everyKey(literal.keys, this.not(literal.then))
      case 'item':
        return this.all([this.size('array', literal.index + 1), this.item(literal.index, this.not(literal.then))])
      case 'rest':
        return this.count(literal.from, this.not(literal.then), 1)
      case 'size':
        return this.any([
          literal.min > 0 ? this.size(literal.of, 0, literal.min - 1) : this.false,
          literal.max < Infinity ? this.size(literal.of, literal.max + 1) : this.false
        ])
      case 'count':
        return this.any([
          literal.min > 0 ? this.count(literal.from, literal.of, 0, literal.min - 1) : this.false,
          literal.max < Infinity ? this.count(literal.from, literal.of, literal.max + 1) : this.false
        ])
    }
  }
}
