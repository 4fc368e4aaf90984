import { areDisjoint } from './disjoint.ts'
import { seenRoughly } from '../evaluated-members.ts'
import { numberFormats, stringFormats } from '../formats.ts'
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

/** A keyword that a schema has, with its value. */
type Entry = { [Word in keyof Keywords]-?: { word: Word, value: NonNullable<Keywords[Word]> } }[keyof Keywords]

/** Returns the demand of one keyword, with the adjacent keywords that it depends on. Does not handle `unevaluated…`. */
export function demandOf (word: keyof Keywords, keywords: Keywords, formulas: Formulas): Formula {
  const value = keywords[word]
  if (value === undefined) return formulas.true
  const entry = { word, value } as Entry
  switch (entry.word) {
    case 'type':
      return typeDemand(entry.value, formulas)
    case 'enum':
      return formulas.in(entry.value)
    case 'const':
      return formulas.in([entry.value])
    case 'minimum':
      return formulas.bound('min', entry.value, false)
    case 'maximum':
      return formulas.bound('max', entry.value, false)
    case 'exclusiveMinimum':
      return formulas.bound('min', entry.value, true)
    case 'exclusiveMaximum':
      return formulas.bound('max', entry.value, true)
    case 'multipleOf':
      return formulas.multiple(entry.value)
    case 'minLength':
      return formulas.size('string', entry.value)
    case 'maxLength':
      return formulas.size('string', 0, keywords.maxLength)
    case 'pattern':
      return formulas.pattern(entry.value)
    case 'format':
      return formatDemand(entry.value, formulas)
    case 'contentEncoding':
    case 'contentMediaType':
    case 'contentSchema':
      return formulas.opaque(canonical([word, value]), 'content')
    case 'minItems':
      return formulas.size('array', entry.value)
    case 'maxItems':
      return formulas.size('array', 0, keywords.maxItems)
    case 'minProperties':
      return formulas.size('object', entry.value)
    case 'maxProperties':
      return formulas.size('object', 0, keywords.maxProperties)
    case 'uniqueItems':
      return keywords.uniqueItems === true ? formulas.unique() : formulas.true
    case 'prefixItems':
      return formulas.all(entry.value.map((item, i) => formulas.item(i, formulas.schema(item))))
    case 'items':
      return formulas.rest(keywords.prefixItems?.length ?? 0, formulas.schema(entry.value))
    case 'contains':
      return formulas.count(0, formulas.schema(entry.value), keywords.minContains ?? 1, keywords.maxContains)
    case 'required':
      return formulas.all(entry.value.map(name => hasKey(name, formulas)))
    case 'properties':
      return formulas.all(
        [...entry.value].map(([name, then]) => formulas.everyKey(formulas.in([name]), formulas.schema(then)))
      )
    case 'patternProperties':
      return formulas.all(
        [...entry.value].map(([source, then]) =>
          formulas.everyKey(formulas.pattern(source), formulas.schema(then))
        )
      )
    case 'additionalProperties':
      return formulas.everyKey(otherKeys(keywords, formulas), formulas.schema(entry.value))
    case 'propertyNames':
      return formulas.everyKey(formulas.schema(entry.value, true), formulas.false)
    case 'dependentRequired':
      return formulas.all(
        [...entry.value].map(([name, others]) =>
          dependency(name, formulas.all(others.map(other => hasKey(other, formulas))), formulas)
        )
      )
    case 'dependentSchemas':
      return formulas.all(
        [...entry.value].map(([name, then]) => dependency(name, formulas.schema(then), formulas))
      )
    case 'allOf':
      return formulas.all(entry.value.map(part => formulas.schema(part)))
    case 'anyOf':
      return formulas.any(entry.value.map(part => formulas.schema(part)))
    case 'oneOf':
      return oneOf(keywords, formulas)
    case 'not':
      return formulas.schema(entry.value, true)
    case 'if':
      return formulas.all([
        formulas.any([
          formulas.schema(entry.value, true),
          keywords.then === undefined ? formulas.true : formulas.schema(keywords.then)
        ]),
        formulas.any([
          formulas.schema(entry.value), keywords.else === undefined ? formulas.true : formulas.schema(keywords.else)
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
  if (stringFormats.has(name)) return formulas.format(name)
  const bounds = numberFormats.get(name)
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
 * most as strict (`isLoose`) or at least as strict, whatever branches hold.
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
