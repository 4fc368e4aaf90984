import type { NodeOrder, SchemaNode } from '../schema-node.ts'
import { addArrayTests } from './array-tests.ts'
import type { CompileWork } from './compile-work.ts'
import { addObjectTests } from './object-tests.ts'
import { addNumberTests, addStringTests } from './scalar-tests.ts'
import { type AddTests, SchemaCheck, type Tests } from './schema-check.ts'
import { addUnionTests } from './union-tests.ts'

const groups: readonly AddTests[] = [addUnionTests, addNumberTests, addStringTests, addArrayTests, addObjectTests]

/** The steps to make the tests of a schema, about 1 µs. */
const schemaSteps = 3

/**
 * Returns the check of a schema: a graph of closures that has the shape of the schema. It checks a payload as fast as
 * code that Ajv writes, and takes a fraction of the time to make, linear in the size of the schema. Yields regularly.
 */
export function * interpreting (
  root: SchemaNode, { order }: NodeOrder, work: CompileWork
): Generator<void, SchemaCheck> {
  const made = new Map<SchemaNode, SchemaCheck>()
  const checkOf = (schema: SchemaNode): SchemaCheck => {
    const check = made.get(schema) ?? new SchemaCheck(schema)
    made.set(schema, check)
    return check
  }
  for (const schema of order) {
    const { keywords } = schema
    if (work.spend(schemaSteps)) yield
    if (typeof keywords === 'boolean') continue
    const tests: Tests = { any: [], number: [], string: [], array: [], object: [] }
    for (const addTests of groups) addTests(tests, keywords, checkOf)
    checkOf(schema).complete(tests)
  }
  return checkOf(root)
}
