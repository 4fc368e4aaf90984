import type { Keywords } from '../schema-node.ts'
import type { AddTests, SchemaCheck, Test } from './schema-check.ts'
import { hasUniqueItems } from './value-checks.ts'

type ArrayTest = Test<readonly unknown[]>

/** Adds the tests of the keywords for arrays. */
export const addArrayTests: AddTests = ({ array }, keywords, checkOf) => {
  const { maxItems, minItems, contains, prefixItems, items, uniqueItems, unevaluatedItems } = keywords
  if (maxItems !== undefined) {
    const message = `must NOT have more than ${maxItems} items`
    array.push((value, run) => value.length <= maxItems || run.fail('maxItems', message))
  }
  if (minItems !== undefined) {
    const message = `must NOT have fewer than ${minItems} items`
    array.push((value, run) => value.length >= minItems || run.fail('minItems', message))
  }
  if (contains !== undefined) array.push(testContains(checkOf(contains), keywords))
  if (prefixItems !== undefined) array.push(testPrefixItems(prefixItems.map(checkOf)))
  if (items !== undefined) {
    const start = prefixItems?.length ?? 0
    array.push(items.keywords === false && start > 0 ? testEnd(start) : testItems(checkOf(items), start))
  }
  if (uniqueItems === true) {
    array.push((value, run) =>
      hasUniqueItems(value, run.budget) || run.fail('uniqueItems', 'must NOT have duplicate items')
    )
  }
  if (unevaluatedItems !== undefined) {
    array.push(keywords.unevaluatedItemsRule === undefined
      ? testUnevaluated(checkOf(unevaluatedItems), unevaluatedItems.keywords === false)
      : seeAll)
  }
}

const seeAll: ArrayTest = (_value, _run, seen) => {
  if (seen !== undefined) seen.itemsMin = Infinity
  return true
}

function testPrefixItems (checks: readonly SchemaCheck[]): ArrayTest {
  return (value, run, seen) => {
    if (seen !== undefined) seen.itemsMin = Math.max(seen.itemsMin, checks.length)
    return run.every(checks.slice(0, value.length).entries(), ([i, check]) => run.at(i, value[i], check))
  }
}

function testItems (check: SchemaCheck, start: number): ArrayTest {
  return (value, run, seen) => {
    if (seen !== undefined) seen.itemsMin = Infinity
    let isValid = true
    for (let i = start; i < value.length; i++) {
      if (run.at(i, value[i], check)) continue
      if (!run.findsAll) return false
      isValid = false
    }
    return isValid
  }
}

function testEnd (count: number): ArrayTest {
  return (value, run, seen) => {
    if (seen !== undefined) seen.itemsMin = Infinity
    return value.length <= count || run.fail('items', `must NOT have more than ${count} items`)
  }
}

function testContains (check: SchemaCheck, { minContains: min = 1, maxContains: max }: Keywords): ArrayTest {
  const message = `must contain at least ${min}${max === undefined ? '' : ` and no more than ${max}`} valid item(s)`
  if (max !== undefined && max < min) return (_value, run) => run.fail('contains', message)
  const countMax = max === undefined ? min : max + 1
  return (value, run, seen) => {
    const before = run.violations.length
    let count = 0
    for (const [i, item] of value.entries()) {
      // Every item that is valid is evaluated.
      if (count >= countMax && seen === undefined) break
      if (!run.at(i, item, check)) continue
      count++
      seen?.items.add(i)
    }
    const isValid = count >= min && (max === undefined || count <= max)
    return run.settle(isValid, before) || run.fail('contains', message)
  }
}

function testUnevaluated (check: SchemaCheck, isNone: boolean): ArrayTest {
  return (value, run, seen) => {
    const { itemsMin, items } = seen ?? { itemsMin: Infinity, items: new Set<number>() }
    if (seen !== undefined) seen.itemsMin = Infinity
    const others = [...value.keys()].filter(i => i >= itemsMin && !items.has(i))
    if (isNone) {
      return others.length === 0 || run.fail('unevaluatedItems', `must NOT have more than ${others[0]} items`)
    }
    return run.every(others, i => run.at(i, value[i], check))
  }
}
