import type { ErrorObject, ValidateFunction } from 'ajv'
import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../validation-message.ts'
import { Compiler } from './compiler.ts'
import { emit, evaluationCost } from './emit.ts'
import { Budget, Fuel, FuelError } from './fuel.ts'
import type { JsonSchema } from './json.ts'
import { normalise } from './normalise.ts'
import { reachable, type SchemaNode } from './schema-node.ts'
import { ONE_OF_SLICES, slice } from './slices.ts'

export type { JsonSchema } from './json.ts'
export { SchemaError } from './schema-error.ts'

/** One thing that is wrong with a payload: where (JSON Pointer into it), what, and the keyword that says so. */
export interface ValidationIssue { path: string, message: string, keyword: string }

export interface Validator {
  /** What is wrong with the payload, nothing if it is valid. At most ISSUES_MAX issues; only the first for a large payload, or a dear schema. */
  validate (payload: unknown, budget?: Budget): ValidationIssue[]
  isValid (payload: unknown, budget?: Budget): boolean
}

export const ISSUES_MAX = 50

/** Every issue is looked for in payloads of up to this many values. In larger ones the list itself would be the attack. */
const VALUES_MAX = 2_000

/** Nor is every issue looked for by schemas that may evaluate more than this for each level of a payload. */
const COST_MAX = 2_000

/** Larger schemas are compiled in slices. */
const NODES_MAX = 150

/**
 * The validator of a schema: JSON Schema 2020-12 or draft-07, formats asserted, patterns in linear time. Throws
 * SchemaError, with the reason, for a schema that cannot be used. A large schema can take some 100 ms: where payloads
 * are served, use `prepareValidator`.
 */
export function compileValidator (schema: JsonSchema): Validator {
  return validatorOf(normalise(schema))
}

const BREATH_MS = 8

/** The same validator, made without holding up the event loop: between the slices of a large schema, others have their turn. */
export async function prepareValidator (schema: JsonSchema): Promise<Validator> {
  const steps = build(normalise(schema))
  let since = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - since < BREATH_MS) continue
    await setImmediate()
    since = performance.now()
  }
}

function validatorOf (root: SchemaNode): Validator {
  const steps = build(root)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** A validator that compiles what it meets: for a few payloads that touch little of a large schema. */
export function lazyValidatorOf (root: SchemaNode): Validator {
  return build(root).next().value!
}

/** Gives a validator that compiles as it goes, then compiles slice by slice all that it may meet. */
function * build (root: SchemaNode): Generator<Validator, Validator> {
  const nodes = reachable(root)
  const isSliced = nodes.size > NODES_MAX
  const isDear = isSliced || evaluationCost(root) > COST_MAX
  const tracksEvaluated = [...nodes].some(leavesUnevaluated)
  const fuel = new Fuel({ tracksEvaluated })
  const slices = isSliced ? slice(root) : [{ write: () => emit(root, { fuel: true }), names: undefined }]
  const compiler = new Compiler(fuel, slices, { allErrors: false, tracksEvaluated, isSliced })
  let findAll: ValidateFunction | undefined

  function check (validate: ValidateFunction, payload: unknown, budget: Budget): ValidationIssue[] {
    try {
      return fuel.run(budget, () => validate(payload)) ? [] : toIssues(validate.errors ?? [])
    } catch (error) {
      return [toRefusal(error)]
    }
  }

  const validator: Validator = {
    isValid: (payload, budget = new Budget()) => check(compiler.slice(0), payload, budget).length === 0,
    validate (payload, budget = new Budget()) {
      const first = check(compiler.slice(0), payload, budget)
      if (first.length === 0 || isDear || countValues(payload, VALUES_MAX) >= VALUES_MAX) return first
      findAll ??= new Compiler(fuel, slices, { allErrors: true, tracksEvaluated, isSliced }).slice(0)
      const all = check(findAll, payload, new Budget())
      return all.length > 1 ? all : first
    }
  }
  yield validator
  for (const number of slices.keys()) {
    compiler.slice(number)
    yield validator
  }
  return validator
}

/** Whether Ajv must keep book of what is evaluated, because it could not be said in plain keywords. */
function leavesUnevaluated ({ keywords }: SchemaNode): boolean {
  if (typeof keywords === 'boolean') return false
  return (keywords.unevaluatedItems !== undefined && keywords.unevaluatedItemsRule === undefined) ||
    (keywords.unevaluatedProperties !== undefined && keywords.unevaluatedPropertiesRule === undefined)
}

const PLAIN_WORDS: Record<string, string> = { 'false schema': 'false', [ONE_OF_SLICES]: 'oneOf' }

function toIssues (errors: ErrorObject[]): ValidationIssue[] {
  return errors.slice(0, ISSUES_MAX).map(({ instancePath, message, keyword, params }) => ({
    path: instancePath,
    message: keyword === 'additionalProperties' || keyword === 'unevaluatedProperties'
      ? `${message ?? keyword}: ${JSON.stringify(Object.values(params)[0])}`
      : messageOf({ keyword, params, message: message ?? keyword }),
    keyword: PLAIN_WORDS[keyword] ?? keyword
  }))
}

/** A payload that is too dear or too deep to check is refused; it is never taken for valid. */
function toRefusal (error: unknown): ValidationIssue {
  if (error instanceof FuelError) return { path: '', message: error.message, keyword: 'cost' }
  if (error instanceof RangeError) return { path: '', message: 'the payload is nested too deep to be checked', keyword: 'depth' }
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
