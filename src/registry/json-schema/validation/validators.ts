import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../../../foundation/http/validation-message.ts'
import { compileStepsMax, CompileWork, finish } from './compile-work.ts'
import { evaluationCost } from './evaluation-cost.ts'
import { Evaluation, type Mode, type Violation } from './evaluation.ts'
import { Budget, FuelError } from './fuel.ts'
import { interpreting } from './interpreter.ts'
import type { JsonSchema } from '../json.ts'
import { normalising } from '../normalise.ts'
import { childrenFirst, type NodeOrder, type SchemaNode } from '../schema-node.ts'
import type { SchemaCheck } from './schema-check.ts'

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

/** Reads and compiles a schema, and yields regularly. */
export function * compiling (schema: JsonSchema, work: CompileWork): Generator<void, Validator> {
  return yield * makeValidator(yield * normalising(schema, work), work)
}

export function validatorOf (root: SchemaNode): Validator {
  return finish(makeValidator(root, new CompileWork()))
}

function * makeValidator (root: SchemaNode, work: CompileWork): Generator<void, Validator> {
  const nodes = yield * childrenFirst(root)
  return new SchemaValidator(yield * interpreting(root, nodes, work), nodes)
}

class SchemaValidator implements Validator {
  readonly #root: SchemaCheck
  /** Whether finding every violation could take too long. */
  readonly #isExpensive: boolean

  constructor (root: SchemaCheck, nodes: NodeOrder) {
    this.#root = root
    this.#isExpensive = nodes.order.length > nodesMax || evaluationCost(nodes) > costMax
  }

  isValid (payload: unknown, budget = new Budget()): boolean {
    return this.#check(payload, budget, 'silent') === undefined
  }

  validate (payload: unknown, budget = new Budget()): ValidationIssue[] {
    const refused = this.#check(payload, budget, 'silent')
    if (refused === undefined) return []
    if (refused.length > 0) return refused
    const all = this.#isExpensive || countValues(payload, valuesMax) >= valuesMax
      ? undefined
      : this.#check(payload, new Budget(), 'all')
    // Finding the first violation takes no more steps than the check that failed; finding all may take too many.
    return all !== undefined && all.length > 1 ? all : this.#check(payload, new Budget(), 'first') ?? []
  }

  /** Returns undefined if the payload is valid, and the reason alone if the check had to stop. */
  #check (payload: unknown, budget: Budget, mode: Mode): ValidationIssue[] | undefined {
    const run = new Evaluation(budget, mode)
    try {
      return this.#root.holds(payload, run) ? undefined : run.violations.slice(0, issuesMax).map(toIssue)
    } catch (error) {
      return [toRefusal(error)]
    }
  }
}

function toIssue ({ instancePath, message, keyword: word, params }: Violation): ValidationIssue {
  const keyword = word === 'false schema' ? 'false' : word
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
