import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from '@sinclair/typebox'
import { isNumber } from 'lossless-json'
import type { ErrorDetail } from '../../errors.ts'
import { inexact, isExactNumber } from '../exact-numbers.ts'
import { explain, type ValidatorError } from './validation-message.ts'

/** A check for each `format`; each takes linear time. */
export type Formats = Iterable<[string, (text: string) => boolean]>

/**
 * Bodies are taken as they are: nothing is coerced, nothing unknown is dropped. What comes as text (query, headers,
 * path) is coerced to the type it stands for. The first error ends a validation, so that a hostile body cannot make
 * the list of its own faults long. `shared` are the schemas that others refer to by `$id`.
 */
export function validatorCompilers (formats: Formats) {
  // Fastify asks again in each section, with the same schemas.
  const compilers = new Map<string, FastifySchemaCompiler<TSchema>>()
  return (shared: Record<string, object>): FastifySchemaCompiler<TSchema> => {
    const names = Object.keys(shared).join()
    let compiler = compilers.get(names)
    if (compiler === undefined) {
      compiler = validatorCompiler(shared, formats)
      compilers.set(names, compiler)
    }
    return compiler
  }
}

/** By schema, for all apps of the process: the schemas are constants, and the shared ones are the same in each app. */
const bodies = new WeakMap<object, Validator>()
const texts = new WeakMap<object, Validator>()

type Validator = ((data: unknown) => boolean | { error: Error }) & { errors?: ErrorObject[] | null }

/** Compiles at the first call: most of a start would be the compiling of schemas that no request has come for yet. */
function lazyValidator (compile: () => ValidateFunction): Validator {
  let compiled: ValidateFunction | undefined
  const validator: Validator = data => {
    compiled ??= compile()
    const isValid = compiled(data)
    validator.errors = compiled.errors ?? null
    return isValid
  }
  return validator
}

const options = { useDefaults: true, allErrors: false, strict: false, allowUnionTypes: true, verbose: true } as const

/** For what is taken as it is: nothing is coerced, and the first error ends a validation. */
export function exactValidator (formats: Formats): Ajv {
  const ajv = new Ajv({ ...options, coerceTypes: false })
  addFormats(ajv, formats)
  return ajv
}

/** Returns what a failed validation says to the client: where, and what. */
export function toDetail (errors: readonly ValidatorError[]): ErrorDetail {
  const { instancePath = '', keyword = '', params = {}, message = 'is wrong' } = explain(errors)
  const property = keyword === 'additionalProperties'
    ? params['additionalProperty']
    : keyword === 'required'
      ? params['missingProperty']
      : undefined
  const path = property === undefined ? instancePath : `${instancePath}/${String(property).slice(0, 100)}`
  return {
    path,
    message: keyword === 'additionalProperties'
      ? 'is not a known field'
      : keyword === 'required'
        ? 'is required'
        : message
  }
}

/** Adds the checked formats, and names that assert nothing. */
function addFormats (ajv: Ajv, formats: Formats): void {
  for (const [name, validate] of formats) ajv.addFormat(name, validate)
  for (const name of ['password', 'binary', 'jwk', 'pem']) ajv.addFormat(name, true)
}

function validatorCompiler (shared: Record<string, object>, formats: Formats): FastifySchemaCompiler<TSchema> {
  const [exact, coercing] = [false, true].map(coerceTypes => once(() => {
    const ajv = new Ajv({ ...options, coerceTypes })
    addFormats(ajv, formats)
    for (const schema of Object.values(shared)) ajv.addSchema(schema)
    return ajv
  })) as [() => Ajv, () => Ajv]
  return ({ schema, httpPart }) => {
    const [known, ajv] = httpPart === 'body' ? [bodies, exact] : [texts, coercing]
    let validator = known.get(schema)
    if (validator === undefined) {
      const lazy = lazyValidator(() => ajv().compile(schema))
      validator = known === bodies ? lazy : withExactNumbers(lazy, schema)
      known.set(schema, validator)
    }
    return validator
  }
}

/** Refuses texts that coercion would turn into another number. Those of a body are checked when it is parsed. */
function withExactNumbers (validate: Validator, { properties = {} }: TSchema): Validator {
  const isNumeric = ({ type }: TSchema) => type === 'integer' || type === 'number'
  const names = Object.entries(properties as Record<string, TSchema>).filter(([, schema]) => isNumeric(schema)).map((
    [name]
  ) => name)
  if (names.length === 0) return validate
  const check: Validator = data => {
    for (const name of names) {
      const text = (data as Record<string, unknown> | null)?.[name]
      if (typeof text === 'string' && isNumber(text) && !isExactNumber(text)) { return { error: inexact(`/${name}`, text) } }
    }
    const isValid = validate(data)
    check.errors = validate.errors ?? null
    return isValid
  }
  return check
}

function once<T> (make: () => T): () => T {
  let made: { value: T } | undefined
  return () => (made ??= { value: make() }).value
}
