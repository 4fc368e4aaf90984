import type { ErrorObject, ValidateFunction } from 'ajv'
import Core from 'ajv/dist/core.js'
import draft2020 from 'ajv/dist/vocabularies/draft2020.js'
import { emit, evaluationCost } from './emit.ts'
import { FORMATS, NUMBER_FORMATS } from './formats.ts'
import type { JsonSchema } from './json.ts'
import { Fuel, FuelError, KEYWORDS } from './keywords.ts'
import { normalise } from './normalise.ts'
import { patternMatcher } from './pattern-matcher.ts'
import { SchemaError } from './schema-error.ts'
import { reachable, type SchemaNode } from './schema-node.ts'

export { SchemaError } from './schema-error.ts'

/** One thing that is wrong with a payload: where (JSON Pointer into it), what, and the keyword that says so. */
export interface ValidationIssue { path: string, message: string, keyword: string }

export interface Validator {
  /** What is wrong with the payload, nothing if it is valid. At most ISSUES_MAX issues; only the first for a large payload. */
  validate (payload: unknown): ValidationIssue[]
  isValid (payload: unknown): boolean
}

const Ajv = Core.default

export const ISSUES_MAX = 50

/** Every issue is looked for in payloads of up to this many values. In larger ones the list itself would be the attack. */
const VALUES_MAX = 2_000

/** Schemas that cost more than this for each payload count their evaluations as they run. */
const UNCOUNTED_COST_MAX = 2_000

/**
 * The validator of a schema: JSON Schema 2020-12 or draft-07, formats asserted, patterns in linear time. Throws
 * SchemaError, with the reason, for a schema that cannot be used. May take long for a large schema: see the checker
 * pool, which tries it elsewhere first.
 */
export function compileValidator (schema: JsonSchema): Validator {
  return validatorOf(normalise(schema))
}

export function validatorOf (root: SchemaNode): Validator {
  const isCounted = evaluationCost(root) > UNCOUNTED_COST_MAX
  const fuel = new Fuel()
  const tracksEvaluated = [...reachable(root)].some(leavesUnevaluated)
  const source = emit(root, { fuel: isCounted })
  const isValid = compile(source, { fuel, tracksEvaluated, allErrors: false })
  let findAll: ValidateFunction | undefined

  function check (validate: ValidateFunction, payload: unknown): ValidationIssue[] {
    if (isCounted) fuel.refill()
    try {
      return validate(payload) ? [] : toIssues(validate.errors ?? [])
    } catch (error) {
      return [toRefusal(error)]
    }
  }

  return {
    isValid: (payload) => check(isValid, payload).length === 0,
    validate (payload) {
      const first = check(isValid, payload)
      if (first.length === 0 || isCounted || countValues(payload, VALUES_MAX) >= VALUES_MAX) return first
      findAll ??= compile(source, { fuel, tracksEvaluated, allErrors: true })
      return check(findAll, payload)
    }
  }
}

function compile (source: object | boolean, { fuel, allErrors, tracksEvaluated }: { fuel: Fuel, allErrors: boolean, tracksEvaluated: boolean }): ValidateFunction {
  const ajv = new Ajv({
    next: true,
    unevaluated: tracksEvaluated,
    allErrors,
    strict: false,
    logger: false,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    ownProperties: true,
    code: { regExp: linearTime }
  })
  for (const vocabulary of draft2020.default) ajv.addVocabulary(vocabulary)
  for (const keyword of KEYWORDS) ajv.removeKeyword(keyword.keyword as string).addKeyword(keyword)
  ajv.addKeyword(fuel.keyword)
  for (const [name, validate] of FORMATS) ajv.addFormat(name, validate)
  for (const [name, { min, max }] of NUMBER_FORMATS) {
    ajv.addFormat(name, { type: 'number', validate: (value: number) => Number.isInteger(value) && value >= min && value <= max })
  }
  try {
    return ajv.compile(source)
  } catch (error) {
    throw new SchemaError(error instanceof RangeError ? 'the schema refers from one definition to the next too often to be compiled' : `the schema does not compile: ${(error as Error).message}`, '', { cause: error })
  }
}

const linearTime = Object.assign((source: string) => patternMatcher(source), { code: 'linearTime' })

/** Whether Ajv must keep book of what is evaluated, because it could not be said in plain keywords. */
function leavesUnevaluated ({ keywords }: SchemaNode): boolean {
  if (typeof keywords === 'boolean') return false
  return (keywords.unevaluatedItems !== undefined && keywords.unevaluatedItemsRule === undefined) ||
    (keywords.unevaluatedProperties !== undefined && keywords.unevaluatedPropertiesRule === undefined)
}

function toIssues (errors: ErrorObject[]): ValidationIssue[] {
  return errors.slice(0, ISSUES_MAX).map(({ instancePath, message, keyword, params }) => ({
    path: instancePath,
    message: keyword === 'additionalProperties' || keyword === 'unevaluatedProperties'
      ? `${message ?? keyword}: ${JSON.stringify(Object.values(params)[0])}`
      : message ?? keyword,
    keyword: keyword === 'false schema' ? 'false' : keyword
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
