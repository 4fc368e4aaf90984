import { Solver } from '../../../src/registry/json-schema/compatibility/solver.ts'
import type { Json } from '../../../src/registry/json-schema/json.ts'
import { normalise } from '../../../src/registry/json-schema/normalise.ts'
import { reachable } from '../../../src/registry/json-schema/schema-node.ts'
import { validatorOf } from '../../../src/registry/json-schema/validation/validators.ts'
import { Random } from '../../support/random.ts'
import { randomDocument } from './attack.ts'
import { document } from './generate.ts'

/**
 * Returns documents for which the checker and the validator disagree on a schema or its negation. There must be none.
 */
export function compareReadings (
  count: number, { from = 0, documents = 30 } = {}
): { compared: number, different: unknown[] } {
  const different: unknown[] = []
  let compared = 0
  for (let seed = from; seed < from + count; seed++) {
    const random = new Random(seed * 104729 + 7)
    const schema = document(random, 1 + random.below(3))
    let root
    try { root = normalise(schema) } catch { continue }
    const solver = new Solver(reachable(root))
    const validator = validatorOf(root)
    for (let i = 0; i < documents; i++) {
      const candidate = randomDocument(random, schema, schema) as Json
      const isValid = validator.isValid(candidate)
      const isRead = solver.holds(solver.formulas.schema(root), candidate)
      const isDenied = solver.holds(solver.formulas.not(solver.expand(solver.formulas.schema(root))), candidate)
      compared++
      if (isValid !== isRead || isDenied === isRead) {
        different.push({ seed, schema, candidate, isValid, isRead, isDenied })
      }
    }
  }
  return { compared, different }
}
