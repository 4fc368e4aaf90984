import { _, nil, Name, type Code, type CodeKeywordDefinition, type KeywordCxt } from 'ajv'
import names from 'ajv/dist/compile/names.js'
import { alwaysValidSchema, mergeEvaluated, Type } from 'ajv/dist/compile/util.js'
import { callValidateCode } from 'ajv/dist/vocabularies/code.js'
import type { Matcher } from '../regex/pattern-matcher.ts'
import {
  knownKeyword, oneOfSlicesKeyword, othersKeyword, sliceKeyword, tupleKeyword, tupleStartKeyword
} from './slice-words.ts'

const { errors, vErrors } = names.default

/** Ajv's record of the properties and items that a function has evaluated. */
export interface Evaluated { props?: true | Record<string, true> | undefined, items?: true | number | undefined }

/** A function that checks a value, with its result. `validate` is replaced when the function is compiled. */
export interface SliceFunction {
  validate: ((data: unknown, context?: object) => boolean) & { errors?: object[] | null, evaluated?: Evaluated }
}

/** Returns the keywords by which the functions of a schema call each other. */
export function sliceKeywords (
  slices: readonly SliceFunction[], matcherOf: (pattern: string) => Pick<Matcher, 'test'>
): CodeKeywordDefinition[] {
  const functionOf = (number: unknown): SliceFunction => {
    const found = slices[number as number]
    if (found === undefined) throw new RangeError(`there is no slice ${String(number)}`)
    return found
  }
  return [
    {
      keyword: sliceKeyword,
      schemaType: 'number',
      code (cxt) {
        const { gen, schema } = cxt
        const validate = _`${gen.scopeValue('wrapper', { ref: functionOf(schema) })}.validate`
        cxt.result(callValidateCode(cxt, validate, nil), () => { addEvaluated(cxt, _`${validate}.evaluated`) }, () => {
          gen.assign(vErrors, _`${vErrors} === null ? ${validate}.errors : ${vErrors}.concat(${validate}.errors)`)
          gen.assign(errors, _`${vErrors}.length`)
        })
      }
    },
    {
      keyword: oneOfSlicesKeyword,
      schemaType: 'array',
      error: { message: 'must match exactly one schema in oneOf' },
      code (cxt) {
        const { gen, schema, data } = cxt
        const branches = gen.scopeValue('obj', { ref: (schema as number[]).map(functionOf) })
        const passed = gen.const('passed', _`${gen.scopeValue('func', { ref: onlyOne })}(${branches}, ${data})`)
        cxt.pass(_`${passed} !== undefined`)
        addEvaluated(cxt, passed)
      }
    },
    {
      keyword: othersKeyword,
      type: 'object',
      schemaType: ['boolean', 'object'],
      trackErrors: true,
      error: {
        message: 'must NOT have additional properties',
        params: ({ params }) => _`{additionalProperty: ${params['key']}}`
      },
      code (cxt) {
        const { gen, data, schema, it, errsCount } = cxt
        it.props = true
        if (alwaysValidSchema(it, schema)) return
        const { [knownKeyword]: { names, patterns } } = cxt.parentSchema as KnownMembers
        const known = gen.scopeValue('func', { ref: isOneOf(new Set(names), patterns.map(matcherOf)) })
        gen.forIn('key', data, key => gen.if(_`!${known}(${key})`, () => {
          if (schema === false) {
            cxt.setParams({ key })
            cxt.error()
            if (it.allErrors !== true) gen.break()
            return
          }
          const valid = gen.name('valid')
          cxt.subschema({ keyword: othersKeyword, dataProp: key, dataPropType: Type.Str }, valid)
          if (it.allErrors !== true) gen.if(_`!${valid}`, () => gen.break())
        }))
        cxt.ok(_`${errsCount} === ${errors}`)
      }
    },
    {
      keyword: tupleKeyword,
      type: 'array',
      schemaType: 'array',
      code (cxt) {
        const { gen, data, it } = cxt
        const start = (cxt.parentSchema as Record<string, unknown>)[tupleStartKeyword] as number
        const valid = gen.name('valid')
        for (const [i, schema] of (cxt.schema as (object | boolean)[]).entries()) {
          if (alwaysValidSchema(it, schema)) continue
          gen.if(_`${data}.length > ${start + i}`, () => {
            cxt.subschema({ keyword: tupleKeyword, schemaProp: i, dataProp: start + i }, valid)
          })
          cxt.ok(valid)
        }
      }
    }
  ]
}

/** The names and patterns of the properties that are not additional. */
interface KnownMembers { [knownKeyword]: { names: string[], patterns: string[] } }

function isOneOf (names: ReadonlySet<string>, matchers: readonly Pick<Matcher, 'test'>[]): (name: string) => boolean {
  return name => names.has(name) || matchers.some(matcher => matcher.test(name))
}

/** Returns what the only matching branch has evaluated, or undefined if no branch or several branches match. */
function onlyOne (branches: readonly SliceFunction[], data: unknown): Evaluated | undefined {
  let passed: Evaluated | undefined
  for (const branch of branches) {
    if (!branch.validate(data)) continue
    if (passed !== undefined) return undefined
    passed = { ...branch.validate.evaluated }
  }
  return passed
}

/** Copies what a function has evaluated, since Ajv modifies the record. */
function addEvaluated ({ gen, it }: KeywordCxt, evaluated: Code): void {
  if (it.opts.unevaluated !== true) return
  if (it.props !== true) {
    const props = gen.var('props', _`${gen.scopeValue('func', { ref: copy })}(${evaluated}.props)`)
    it.props = mergeEvaluated.props(gen, props, it.props, Name)
  }
  if (it.items !== true) {
    const items = gen.var('items', _`${evaluated}.items`)
    it.items = mergeEvaluated.items(gen, items, it.items, Name)
  }
}

function copy (props: Evaluated['props']): Evaluated['props'] {
  return typeof props === 'object' ? { ...props } : props
}
