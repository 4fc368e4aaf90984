import { areDisjoint } from './disjoint.ts'
import { seenRoughly } from '../evaluated.ts'
import { FORMATS, NUMBER_FORMATS } from '../formats.ts'
import { type Formula, type Formulas, maskOf, type Of } from './formula.ts'
import { canonical, type JsonType } from '../json.ts'
import type { Keywords } from '../schema-node.ts'

/**
 * Expands a schema formula by one level: the demands of its keywords, or for a negated schema their violations. The
 * result is exact except for `unevaluated…` over too many branches. There it contains more values than the schema (or
 * its negation) and never fewer, so that no set is wrongly found empty.
 */
export function expand (schema: Of<'schema'>, formulas: Formulas): Formula {
  const keywords = schema.node.keywords as Keywords
  const demands = (Object.keys(keywords) as (keyof Keywords)[]).map(word =>
    word === 'unevaluatedItems' || word === 'unevaluatedProperties'
      ? unevaluated(word, keywords, formulas, !schema.negated)
      : demandOf(word, keywords, formulas)
  )
  return schema.negated ? formulas.any(demands.map(demand => formulas.not(demand))) : formulas.all(demands)
}

/** Returns the demand of one keyword, with the adjacent keywords that it depends on. Does not handle `unevaluated…`. */
export function demandOf (word: keyof Keywords, keywords: Keywords, formulas: Formulas): Formula {
  const value = keywords[word]
  if (value === undefined) return formulas.true
  switch (word) {
    case 'type':
      return typeDemand(keywords.type!, formulas)
    case 'enum':
      return formulas.in(keywords.enum!)
    case 'const':
      return formulas.in([keywords.const!])
    case 'minimum':
      return formulas.bound('min', keywords.minimum!, false)
    case 'maximum':
      return formulas.bound('max', keywords.maximum!, false)
    case 'exclusiveMinimum':
      return formulas.bound('min', keywords.exclusiveMinimum!, true)
    case 'exclusiveMaximum':
      return formulas.bound('max', keywords.exclusiveMaximum!, true)
    case 'multipleOf':
      return formulas.multiple(keywords.multipleOf!)
    case 'minLength':
      return formulas.size('string', keywords.minLength!)
    case 'maxLength':
      return formulas.size('string', 0, keywords.maxLength)
    case 'pattern':
      return formulas.pattern(keywords.pattern!)
    case 'format':
      return formatDemand(keywords.format!, formulas)
    case 'contentEncoding':
    case 'contentMediaType':
    case 'contentSchema':
      return formulas.opaque(canonical([word, value]), 'content')
    case 'minItems':
      return formulas.size('array', keywords.minItems!)
    case 'maxItems':
      return formulas.size('array', 0, keywords.maxItems)
    case 'minProperties':
      return formulas.size('object', keywords.minProperties!)
    case 'maxProperties':
      return formulas.size('object', 0, keywords.maxProperties)
    case 'uniqueItems':
      return keywords.uniqueItems === true ? formulas.unique() : formulas.true
    case 'prefixItems':
      return formulas.all(keywords.prefixItems!.map((item, i) => formulas.item(i, formulas.schema(item))))
    case 'items':
      return formulas.rest(keywords.prefixItems?.length ?? 0, formulas.schema(keywords.items!))
    case 'contains':
      return formulas.count(0, formulas.schema(keywords.contains!), keywords.minContains ?? 1, keywords.maxContains)
    case 'required':
      return formulas.all(keywords.required!.map(name => hasKey(name, formulas)))
    case 'properties':
      return formulas.all(
        [...keywords.properties!].map(([name, then]) => formulas.everyKey(formulas.in([name]), formulas.schema(then)))
      )
    case 'patternProperties':
      return formulas.all(
        [...keywords.patternProperties!].map(([source, then]) =>
          formulas.everyKey(formulas.pattern(source), formulas.schema(then))
        )
      )
    case 'additionalProperties':
      return formulas.everyKey(otherKeys(keywords, formulas), formulas.schema(keywords.additionalProperties!))
    case 'propertyNames':
      return formulas.everyKey(formulas.schema(keywords.propertyNames!, true), formulas.false)
    case 'dependentRequired':
      return formulas.all(
        [...keywords.dependentRequired!].map(([name, others]) =>
          dependency(name, formulas.all(others.map(other => hasKey(other, formulas))), formulas)
        )
      )
    case 'dependentSchemas':
      return formulas.all(
        [...keywords.dependentSchemas!].map(([name, then]) => dependency(name, formulas.schema(then), formulas))
      )
    case 'allOf':
      return formulas.all(keywords.allOf!.map(part => formulas.schema(part)))
    case 'anyOf':
      return formulas.any(keywords.anyOf!.map(part => formulas.schema(part)))
    case 'oneOf':
      return oneOf(keywords, formulas)
    case 'not':
      return formulas.schema(keywords.not!, true)
    case 'if':
      return formulas.all([
        formulas.any([
          formulas.schema(keywords.if!, true),
          keywords.then === undefined ? formulas.true : formulas.schema(keywords.then)
        ]),
        formulas.any([
          formulas.schema(keywords.if!), keywords.else === undefined ? formulas.true : formulas.schema(keywords.else)
        ])
      ])
    case 'then':
    case 'else':
    case 'minContains':
    case 'maxContains':
    case 'unevaluatedItems':
    case 'unevaluatedProperties':
    case 'unevaluatedItemsRule':
    case 'unevaluatedPropertiesRule':
      return formulas.true
  }
}

export function hasKey (name: string, formulas: Formulas): Formula {
  return formulas.someKey(formulas.in([name]), formulas.true)
}

/** Returns the names of properties to which neither `properties` nor `patternProperties` applies. */
export function otherKeys ({ properties, patternProperties }: Keywords, formulas: Formulas): Formula {
  return keysBut([...properties?.keys() ?? []], [...patternProperties?.keys() ?? []], formulas)
}

function keysBut (names: string[], patterns: string[], formulas: Formulas): Formula {
  return formulas.all([formulas.in(names, true), ...patterns.map(source => formulas.pattern(source, true))])
}

function typeDemand (types: string[], formulas: Formulas): Formula {
  const mask = maskOf(...types.map(type => type === 'integer' ? 'number' : type as JsonType))
  const isWhole = types.includes('integer') && !types.includes('number')
  return formulas.all([formulas.types(mask), isWhole ? formulas.multiple(1) : formulas.true])
}

function formatDemand (name: string, formulas: Formulas): Formula {
  if (FORMATS.has(name)) return formulas.format(name)
  const bounds = NUMBER_FORMATS.get(name)
  if (bounds === undefined) return formulas.true
  if (bounds.max === Infinity) return formulas.multiple(1)
  return formulas.all([
    formulas.multiple(1), formulas.bound('min', bounds.min, false), formulas.bound('max', bounds.max, false)
  ])
}

function dependency (name: string, then: Formula, formulas: Formulas): Formula {
  return formulas.any([formulas.everyKey(formulas.in([name]), formulas.false), then])
}

function oneOf ({ oneOf: branches = [] }: Keywords, formulas: Formulas): Formula {
  if (areDisjoint(branches)) return formulas.any(branches.map(branch => formulas.schema(branch)))
  return formulas.any(branches.map((branch, i) => formulas.all([
    formulas.schema(branch),
    ...branches.filter((_, j) => j !== i).map(other => formulas.schema(other, true))
  ])))
}

/**
 * Returns the demand of `unevaluated…`. If it could not be rewritten as plain keywords, returns a demand that is at
 * most (`atMost`) or at least as strict, over all results of the branches.
 */
export function unevaluated (
  word: 'unevaluatedItems' | 'unevaluatedProperties', keywords: Keywords, formulas: Formulas, isLoose: boolean
): Formula {
  const rule = keywords[`${word}Rule`]
  if (rule !== undefined) return formulas.schema(rule)
  const { unevaluatedProperties, unevaluatedItems, ...others } = keywords
  const seen = seenRoughly(others, isLoose)
  if (word === 'unevaluatedProperties') {
    if (unevaluatedProperties === undefined || seen.allKeys) return formulas.true
    return formulas.everyKey(
      keysBut([...seen.names], [...seen.patterns], formulas), formulas.schema(unevaluatedProperties)
    )
  }
  if (unevaluatedItems === undefined || seen.items === Infinity) return formulas.true
  const kinds = isLoose ? [...seen.kinds].map(kind => formulas.schema(kind)) : []
  return formulas.rest(seen.items, formulas.any([formulas.schema(unevaluatedItems), ...kinds]))
}
