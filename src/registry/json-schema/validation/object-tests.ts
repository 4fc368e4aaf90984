import { has } from '../json.ts'
import type { Budget } from './fuel.ts'
import type { AddTests, JsonMembers, SchemaCheck, Test } from './schema-check.ts'
import { pattern } from './value-checks.ts'

type ObjectTest = Test<JsonMembers>
type PatternCheck = readonly [matches: (name: string, budget: Budget) => boolean, check: SchemaCheck]

/** With more properties than this, a test walks the names of the value instead of its own. */
const walkedMax = 40
/** The names that are looked up in a step. */
const namesPerStep = 4

/** Adds the tests of the keywords for objects. */
export const addObjectTests: AddTests = ({ object }, keywords, checkOf) => {
  const {
    maxProperties, minProperties, required, propertyNames, additionalProperties, properties = new Map<string, never>(),
    patternProperties = [], dependentRequired, dependentSchemas, unevaluatedProperties
  } = keywords
  if (maxProperties !== undefined) {
    const message = `must NOT have more than ${maxProperties} properties`
    object.push((value, run) => run.keysOf(value).length <= maxProperties || run.fail('maxProperties', message))
  }
  if (minProperties !== undefined) {
    const message = `must NOT have fewer than ${minProperties} properties`
    object.push((value, run) => run.keysOf(value).length >= minProperties || run.fail('minProperties', message))
  }
  if (required !== undefined) object.push(testRequired(required))
  if (propertyNames !== undefined) object.push(testNames(checkOf(propertyNames)))
  const patterns = [...patternProperties].map(([source, schema]): PatternCheck => [pattern(source), checkOf(schema)])
  if (additionalProperties !== undefined) {
    const isNone = additionalProperties.keywords === false
    object.push(testAdditional(checkOf(additionalProperties), isNone, properties, patterns))
  }
  if (properties.size > 0) {
    object.push(testProperties(new Map([...properties].map(([name, schema]) => [name, checkOf(schema)]))))
  }
  if (patterns.length > 0) object.push(testPatterns(patterns))
  if (dependentRequired !== undefined) object.push(testDependentRequired(dependentRequired))
  if (dependentSchemas !== undefined) {
    object.push(testDependentSchemas([...dependentSchemas].map(([name, schema]) => [name, checkOf(schema)])))
  }
  if (unevaluatedProperties !== undefined) {
    object.push(keywords.unevaluatedPropertiesRule === undefined
      ? testUnevaluated(checkOf(unevaluatedProperties), unevaluatedProperties.keywords === false)
      : seeAll)
  }
}

const seeAll: ObjectTest = (_value, _run, seen) => {
  if (seen !== undefined) seen.allNames = true
  return true
}

function testRequired (names: readonly string[]): ObjectTest {
  const steps = Math.floor(names.length / namesPerStep)
  return (value, run) => {
    run.budget.burn(steps)
    return run.every(names, missingProperty => has(value, missingProperty) ||
      run.fail('required', `must have required property '${missingProperty}'`, { missingProperty }))
  }
}

function testNames (check: SchemaCheck): ObjectTest {
  return (value, run) => run.every(run.keysOf(value), propertyName =>
    check.holds(propertyName, run) || run.fail('propertyNames', 'property name must be valid', { propertyName })
  )
}

function testAdditional (
  check: SchemaCheck, isNone: boolean, known: ReadonlyMap<string, unknown>, patterns: readonly PatternCheck[]
): ObjectTest {
  return (value, run, seen) => {
    if (seen !== undefined) seen.allNames = true
    return run.every(run.keysOf(value), name => {
      if (known.has(name) || patterns.some(([matches]) => matches(name, run.budget))) return true
      return isNone
        ? run.fail('additionalProperties', 'must NOT have additional properties', { additionalProperty: name })
        : run.at(name, value[name], check)
    })
  }
}

function testProperties (checks: ReadonlyMap<string, SchemaCheck>): ObjectTest {
  const names = [...checks.keys()]
  return (value, run, seen) => {
    let isValid = true
    for (const name of names.length > walkedMax ? run.keysOf(value) : names) {
      const check = checks.get(name)
      if (check === undefined || !has(value, name)) continue
      seen?.names.add(name)
      if (run.at(name, value[name], check)) continue
      if (!run.findsAll) return false
      isValid = false
    }
    return isValid
  }
}

function testPatterns (patterns: readonly PatternCheck[]): ObjectTest {
  return (value, run, seen) => {
    const names = run.keysOf(value)
    return run.every(patterns, ([matches, check]) => run.every(names, name => {
      if (!matches(name, run.budget)) return true
      seen?.names.add(name)
      return run.at(name, value[name], check)
    }))
  }
}

function testDependentRequired (dependencies: ReadonlyMap<string, readonly string[]>): ObjectTest {
  const steps = Math.floor(dependencies.size / namesPerStep)
  return (value, run) => {
    run.budget.burn(steps)
    return run.every(dependencies, ([name, others]) => {
      if (!has(value, name)) return true
      run.budget.burn(Math.floor(others.length / namesPerStep))
      const noun = others.length === 1 ? 'property' : 'properties'
      return run.every(others, other => has(value, other) ||
        run.fail('dependentRequired', `must have ${noun} ${others.join(', ')} when property ${name} is present`))
    })
  }
}

function testDependentSchemas (checks: readonly (readonly [string, SchemaCheck])[]): ObjectTest {
  const steps = Math.floor(checks.length / namesPerStep)
  return (value, run, seen) => {
    run.budget.burn(steps)
    return run.every(checks, ([name, check]) => !has(value, name) || check.holds(value, run, seen))
  }
}

function testUnevaluated (check: SchemaCheck, isNone: boolean): ObjectTest {
  return (value, run, seen) => {
    const others = seen?.allNames === false ? run.keysOf(value).filter(name => !seen.names.has(name)) : []
    if (seen !== undefined) seen.allNames = true
    return run.every(others, name => isNone
      ? run.fail('unevaluatedProperties', 'must NOT have unevaluated properties', { unevaluatedProperty: name })
      : run.at(name, value[name], check))
  }
}
