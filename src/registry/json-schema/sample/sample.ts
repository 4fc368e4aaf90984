import { encodeJson } from '../../../foundation/json.ts'
import { ValidationError } from '../../../errors.ts'
import { Solver } from '../compatibility/solver.ts'
import type { Json, JsonSchema } from '../json.ts'
import { normalise } from '../normalise.ts'
import { reachable, type SchemaNode } from '../schema-node.ts'
import { GaveUp } from '../steps.ts'
import { validatorOf } from '../validation/validators.ts'
import { SampleBuilder } from './sample-builder.ts'
import { writtenExamples } from './written-examples.ts'

/** Limits the work of the solver: about a second. */
const stepsMax = 1_000_000
/** The number of payloads that the solver finds on its own. */
const modelsMax = 3

/**
 * Returns a payload that is valid under the schema, or undefined if none was found. Prefers what the author wrote, then
 * a payload with all declared properties. Throws SchemaError if the schema cannot be used.
 */
export function sampleOf (schema: JsonSchema): { payload: Json } | undefined {
  const root = normalise(schema)
  const validator = validatorOf(root)
  for (const payload of candidates(schema, root)) {
    if (isPublishable(payload) && validator.isValid(payload)) return { payload }
  }
  return undefined
}

function * candidates (schema: JsonSchema, root: SchemaNode): Generator<Json, void> {
  yield * writtenExamples(schema)
  const solver = createSolver(root)
  for (const isFull of [true, false]) {
    const payload = new SampleBuilder(schema, solver, isFull).build(root)
    if (payload !== undefined) yield payload
  }
  const whole = solver?.formulas.schema(root)
  if (solver !== undefined && whole !== undefined) {
    yield * solver.findWithin(solver.stepsLeft, [whole], modelsMax)?.values ?? []
  }
}

/** Returns undefined if the schema is too large for the solver. */
function createSolver (root: SchemaNode): Solver | undefined {
  try {
    return new Solver(reachable(root), stepsMax)
  } catch (error) {
    if (error instanceof GaveUp || error instanceof RangeError) return undefined
    throw error
  }
}

/** Returns whether the platform accepts the payload in a request, apart from the schema. */
function isPublishable (payload: Json): boolean {
  try {
    encodeJson(payload, '')
    return true
  } catch (error) {
    if (error instanceof ValidationError) return false
    throw error
  }
}
