import type { SchemaNode } from '../schema-node.ts'
import { Evaluated, type Evaluation } from './evaluation.ts'
import type { AddTests, SchemaCheck, Test } from './schema-check.ts'
import { oneOf as isOneOf } from './value-checks.ts'

/** Adds the tests of the keywords that combine schemas, and of those that list the allowed values. */
export const addUnionTests: AddTests = ({ any }, keywords, checkOf) => {
  const { not, allOf = [], anyOf, oneOf, if: condition, then, else: otherwise, enum: values } = keywords
  const { const: constant, unevaluatedItemsRule, unevaluatedPropertiesRule } = keywords
  const checksOf = (schemas: readonly (SchemaNode | undefined)[]): SchemaCheck[] =>
    schemas.filter(schema => schema !== undefined).map(checkOf)
  if (not !== undefined) any.push(testNot(checkOf(not)))
  if (anyOf !== undefined) any.push(testAnyOf(checksOf(anyOf)))
  if (oneOf !== undefined) any.push(testOneOf(checksOf(oneOf)))
  const all = checksOf([...allOf, unevaluatedItemsRule, unevaluatedPropertiesRule])
  if (all.length > 0) any.push(testAllOf(all))
  if (condition !== undefined) {
    any.push(testIf(checkOf(condition), then && checkOf(then), otherwise && checkOf(otherwise)))
  }
  if (values !== undefined) {
    const isValid = isOneOf(values)
    any.push((value, run) => isValid(value, run.budget) ||
      run.fail('enum', 'must be equal to one of the allowed values', { allowedValues: values }))
  }
  if (constant !== undefined) {
    const isValid = isOneOf([constant])
    any.push((value, run) => isValid(value, run.budget) ||
      run.fail('const', 'must be equal to constant', { allowedValue: constant }))
  }
}

function testNot (check: SchemaCheck): Test<unknown> {
  return (value, run) => !run.silently(() => check.holds(value, run)) || run.fail('not', 'must NOT be valid')
}

function testAllOf (checks: readonly SchemaCheck[]): Test<unknown> {
  return (value, run, seen) => {
    let isValid = true
    for (const check of checks) {
      if (check.holds(value, run, seen)) continue
      if (!run.findsAll) return false
      isValid = false
    }
    return isValid
  }
}

function testAnyOf (branches: readonly SchemaCheck[]): Test<unknown> {
  return (value, run, seen) => {
    const before = run.violations.length
    let isValid = false
    for (const branch of branches) {
      isValid = (seen === undefined ? branch.holds(value, run) : branchHolds(branch, value, run, seen)) || isValid
      // Every branch that holds evaluates members.
      if (isValid && seen === undefined) break
    }
    return run.settle(isValid, before) || run.fail('anyOf', 'must match a schema in anyOf')
  }
}

function testOneOf (branches: readonly SchemaCheck[]): Test<unknown> {
  return (value, run, seen) => {
    const before = run.violations.length
    let count = 0
    for (const branch of branches) {
      const isValid = seen === undefined ? branch.holds(value, run) : branchHolds(branch, value, run, seen)
      if (isValid && ++count > 1) break
    }
    return run.settle(count === 1, before) || run.fail('oneOf', 'must match exactly one schema in oneOf')
  }
}

function testIf (condition: SchemaCheck, then?: SchemaCheck, otherwise?: SchemaCheck): Test<unknown> {
  return (value, run, seen) => {
    if (then === undefined && otherwise === undefined && seen === undefined) return true
    const isMet = run.silently(() =>
      seen === undefined ? condition.holds(value, run) : branchHolds(condition, value, run, seen)
    )
    const branch = isMet ? then : otherwise
    if (branch === undefined || branch.holds(value, run, seen)) return true
    return run.findsAll && run.fail('if', `must match "${isMet ? 'then' : 'else'}" schema`)
  }
}

/** Only a branch that holds evaluates members. */
function branchHolds (branch: SchemaCheck, value: unknown, run: Evaluation, seen: Evaluated): boolean {
  const inner = new Evaluated()
  const isValid = branch.holds(value, run, inner)
  if (isValid) seen.add(inner, run.budget)
  return isValid
}
