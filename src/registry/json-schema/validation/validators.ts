import type { ErrorObject } from 'ajv'
import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../../../foundation/http/validation-message.ts'
import { COMPILE_STEPS_MAX, CompileWork, finish } from './compile-work.ts'
import { Compiler } from './compiler.ts'
import { evaluationCost } from '../emit.ts'
import { Budget, Fuel, FuelError } from './fuel.ts'
import type { JsonSchema } from '../json.ts'
import { normalising } from '../normalise.ts'
import { childrenFirst, type NodeOrder, type SchemaNode } from '../schema-node.ts'
import type { SliceFunction } from './slice-keywords.ts'
import { ONE_OF_SLICES, OTHERS, type Slice, slicing } from './slices.ts'

export type { JsonSchema } from '../json.ts'
export { SchemaError } from '../schema-error.ts'

/** One thing that is wrong with a payload: where (JSON Pointer into it), what, and the keyword that says so. */
export interface ValidationIssue { path: string, message: string, keyword: string }

export interface Validator {
  /**
   * What is wrong with the payload, nothing if it is valid. At most ISSUES_MAX issues; only the first for a large
   * payload, or a dear schema.
   */
  validate (payload: unknown, budget?: Budget): ValidationIssue[]
  isValid (payload: unknown, budget?: Budget): boolean
}

export const ISSUES_MAX = 50

/**
 * Every issue is looked for in payloads of up to this many values. In larger ones the list itself would be the attack.
 */
const VALUES_MAX = 2_000

/** Nor is every issue looked for by schemas that may evaluate more than this for each level of a payload. */
const COST_MAX = 2_000

/** Nor by schemas of more subschemas than this. */
const NODES_MAX = 150

/**
 * The validator of a schema: JSON Schema 2020-12 or draft-07, formats asserted, patterns in linear time. Throws
 * SchemaError, with the reason, for a schema that cannot be used, or takes more than COMPILE_STEPS_MAX. A large schema
 * can take some 100 ms: where payloads are served, use `prepareValidator`.
 */
export function compileValidator (schema: JsonSchema, work = new CompileWork(COMPILE_STEPS_MAX)): Validator {
  return finish(compiling(schema, work))
}

const BREATH_MS = 8

/**
 * The same validator, made without holding up the event loop: between the parts of a large schema, others have their
 * turn.
 */
export async function prepareValidator (schema: JsonSchema): Promise<Validator> {
  const steps = compiling(schema, new CompileWork())
  let since = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - since < BREATH_MS) continue
    await setImmediate()
    since = performance.now()
  }
}

/** Reads and compiles all that payloads may meet, and yields after each part. */
export function * compiling (schema: JsonSchema, work: CompileWork): Generator<void, Validator> {
  const root = yield * normalising(schema, work)
  const validator = yield * makeValidator(root, work)
  yield * validator.compileAll()
  return validator
}

/** A validator that compiles what it meets: for a few payloads that touch little of a large schema. */
export function lazyValidatorOf (root: SchemaNode): Validator {
  return finish(makeValidator(root, new CompileWork()))
}

function * makeValidator (root: SchemaNode, work: CompileWork): Generator<void, LazyValidator> {
  const order = yield * childrenFirst(root)
  const slices = yield * slicing(root, order, work)
  yield
  return new LazyValidator(slices, order, work)
}

class LazyValidator implements Validator {
  readonly #fuel: Fuel
  readonly #first: Compiler
  /** Makes the one that finds every issue. Undefined where that would take too long. */
  readonly #makeAll: (() => Compiler) | undefined
  #all: Compiler | undefined

  constructor (slices: readonly Slice[], nodes: NodeOrder, work: CompileWork) {
    const tracksEvaluated = nodes.order.some(leavesUnevaluated)
    this.#fuel = new Fuel({ tracksEvaluated })
    const compiler = (allErrors: boolean) => new Compiler(this.#fuel, slices, { allErrors, tracksEvaluated, work })
    this.#first = compiler(false)
    const isDear = nodes.order.length > NODES_MAX || evaluationCost(nodes) > COST_MAX
    this.#makeAll = isDear ? undefined : () => compiler(true)
  }

  isValid (payload: unknown, budget = new Budget()): boolean {
    return this.#check(this.#first.root, payload, budget).length === 0
  }

  validate (payload: unknown, budget = new Budget()): ValidationIssue[] {
    const first = this.#check(this.#first.root, payload, budget)
    if (first.length === 0 || this.#makeAll === undefined || countValues(payload, VALUES_MAX) >= VALUES_MAX) { return first }
    this.#all ??= this.#makeAll()
    const all = this.#check(this.#all.root, payload, new Budget())
    return all.length > 1 ? all : first
  }

  * compileAll (): Generator<void, void> {
    yield * this.#first.compileAll()
    if (this.#makeAll === undefined) return
    this.#all ??= this.#makeAll()
    yield * this.#all.compileAll()
  }

  #check (root: SliceFunction, payload: unknown, budget: Budget): ValidationIssue[] {
    try {
      return this.#fuel.run(budget, () => root.validate(payload))
        ? []
        : (root.validate.errors as ErrorObject[] | null ?? []).slice(0, ISSUES_MAX).map(toIssue)
    } catch (error) {
      return [toRefusal(error)]
    }
  }
}

/** Whether Ajv must keep book of what is evaluated, because it could not be said in plain keywords. */
function leavesUnevaluated ({ keywords }: SchemaNode): boolean {
  if (typeof keywords === 'boolean') return false
  return (keywords.unevaluatedItems !== undefined && keywords.unevaluatedItemsRule === undefined) ||
    (keywords.unevaluatedProperties !== undefined && keywords.unevaluatedPropertiesRule === undefined)
}

const PLAIN_WORDS: Record<string, string> = {
  'false schema': 'false', [ONE_OF_SLICES]: 'oneOf', [OTHERS]: 'additionalProperties'
}

function toIssue ({ instancePath, message, keyword: word, params }: ErrorObject): ValidationIssue {
  const keyword = PLAIN_WORDS[word] ?? word
  const isNamed = keyword === 'additionalProperties' || keyword === 'unevaluatedProperties'
  return {
    path: instancePath,
    message: isNamed
      ? `${message ?? keyword}: ${JSON.stringify(Object.values(params)[0])}`
      : messageOf({ keyword: word, params, message: message ?? keyword }),
    keyword
  }
}

/** A payload that is too dear or too deep to check is refused; it is never taken for valid. */
function toRefusal (error: unknown): ValidationIssue {
  if (error instanceof FuelError) return { path: '', message: error.message, keyword: 'cost' }
  if (error instanceof RangeError) { return { path: '', message: 'the payload is nested too deep to be checked', keyword: 'depth' } }
  throw error
}

function countValues (value: unknown, max: number): number {
  if (typeof value !== 'object' || value === null) return 1
  let count = 1
  for (const key in value) {
    if (count >= max) return count
    count += countValues((value as Record<string, unknown>)[key], max - count)
  }
  return count
}
