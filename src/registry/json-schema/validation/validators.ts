import type { ErrorObject } from 'ajv'
import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../../../foundation/http/validation-message.ts'
import { compileStepsMax, CompileWork, finish } from './compile-work.ts'
import { Compiler } from './compiler.ts'
import { evaluationCost } from './evaluation-cost.ts'
import { Budget, Fuel, FuelError } from './fuel.ts'
import type { JsonSchema } from '../json.ts'
import { normalising } from '../normalise.ts'
import { childrenFirst, type NodeOrder, type SchemaNode } from '../schema-node.ts'
import type { SliceFunction } from './slice-keywords.ts'
import { oneOfSlicesKeyword, othersKeyword } from './slice-words.ts'
import { type Slice, slicing } from './slices.ts'

export type { JsonSchema } from '../json.ts'
export { SchemaError } from '../schema-error.ts'

/** An error in a payload: the JSON Pointer to it, the message, and the keyword that is violated. */
export interface ValidationIssue { path: string, message: string, keyword: string }

export interface Validator {
  /**
   * Returns the errors of a payload, none if it is valid. Returns at most issuesMax issues, and only the first for a
   * large payload or an expensive schema.
   */
  validate (payload: unknown, budget?: Budget): ValidationIssue[]
  isValid (payload: unknown, budget?: Budget): boolean
}

export const issuesMax = 50

/** Payloads with more values report only the first issue: the list of issues itself could be an attack. */
const valuesMax = 2_000

/** Schemas that may evaluate more subschemas for each level of a payload report only the first issue. */
const costMax = 2_000

/** Schemas with more subschemas report only the first issue. */
const nodesMax = 150

/**
 * Returns the validator of a schema, with formats asserted and patterns matched in linear time. Throws SchemaError with
 * the reason if the schema cannot be used or takes more than compileStepsMax. A large schema can take about 100 ms:
 * on the main thread, use `prepareValidator`.
 */
export function compileValidator (schema: JsonSchema, work = new CompileWork(compileStepsMax)): Validator {
  return finish(compiling(schema, work))
}

/** The time after which `prepareValidator` lets other work run. */
const pauseAfterMs = 8

/** Returns the same validator, without blocking the event loop: it yields between the parts of a large schema. */
export async function prepareValidator (schema: JsonSchema): Promise<Validator> {
  const steps = compiling(schema, new CompileWork())
  let since = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - since < pauseAfterMs) continue
    await setImmediate()
    since = performance.now()
  }
}

/** Reads and compiles a whole schema, and yields after each part. */
export function * compiling (schema: JsonSchema, work: CompileWork): Generator<void, Validator> {
  const root = yield * normalising(schema, work)
  const validator = yield * makeValidator(root, work)
  yield * validator.compileAll()
  return validator
}

/** Returns a validator that compiles functions on demand, for a few payloads that use little of a large schema. */
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
  /** Creates the compiler that finds every issue. Undefined if that would take too long. */
  readonly #makeAll: (() => Compiler) | undefined
  #all: Compiler | undefined

  constructor (slices: readonly Slice[], nodes: NodeOrder, work: CompileWork) {
    const tracksEvaluated = nodes.order.some(leavesUnevaluated)
    this.#fuel = new Fuel({ tracksEvaluated })
    const compiler = (allErrors: boolean) => new Compiler(this.#fuel, slices, { allErrors, tracksEvaluated, work })
    this.#first = compiler(false)
    const isExpensive = nodes.order.length > nodesMax || evaluationCost(nodes) > costMax
    this.#makeAll = isExpensive ? undefined : () => compiler(true)
  }

  isValid (payload: unknown, budget = new Budget()): boolean {
    return this.#check(this.#first.root, payload, budget).length === 0
  }

  validate (payload: unknown, budget = new Budget()): ValidationIssue[] {
    const first = this.#check(this.#first.root, payload, budget)
    if (first.length === 0 || this.#makeAll === undefined || countValues(payload, valuesMax) >= valuesMax) {
      return first
    }
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
        : (root.validate.errors as ErrorObject[] | null ?? []).slice(0, issuesMax).map(toIssue)
    } catch (error) {
      return [toRefusal(error)]
    }
  }
}

/** Returns whether Ajv must track evaluated members, because a keyword could not be rewritten as plain keywords. */
function leavesUnevaluated ({ keywords }: SchemaNode): boolean {
  if (typeof keywords === 'boolean') return false
  return (keywords.unevaluatedItems !== undefined && keywords.unevaluatedItemsRule === undefined) ||
    (keywords.unevaluatedProperties !== undefined && keywords.unevaluatedPropertiesRule === undefined)
}

/** The author's keyword for each keyword of our own that can be violated. */
const plainWords: Record<string, string> = {
  'false schema': 'false', [oneOfSlicesKeyword]: 'oneOf', [othersKeyword]: 'additionalProperties'
}

function toIssue ({ instancePath, message, keyword: word, params }: ErrorObject): ValidationIssue {
  const keyword = plainWords[word] ?? word
  const isNamed = keyword === 'additionalProperties' || keyword === 'unevaluatedProperties'
  return {
    path: instancePath,
    message: isNamed
      ? `${message ?? keyword}: ${JSON.stringify(Object.values(params)[0])}`
      : messageOf({ keyword: word, params, message: message ?? keyword }),
    keyword
  }
}

/** Returns the issue of a payload that takes too many steps or is too deep to check. It is never taken for valid. */
function toRefusal (error: unknown): ValidationIssue {
  if (error instanceof FuelError) return { path: '', message: error.message, keyword: 'cost' }
  if (error instanceof RangeError) {
    return { path: '', message: 'is nested too deeply to be checked', keyword: 'depth' }
  }
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
