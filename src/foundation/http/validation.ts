import { Ajv, type AnySchema, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from '@sinclair/typebox'
import { isNumber } from 'lossless-json'
import type { ErrorDetail } from '../../errors.ts'
import { inexact, isExactNumber } from '../exact-numbers.ts'
import { explain, type ValidatorError } from './validation-message.ts'

/** A function for each `format`. Each runs in linear time. */
export type Formats = Iterable<[string, (text: string) => boolean]>

type SharedSchemas = Readonly<Record<string, AnySchema | AnySchema[]>>

/**
 * Returns Fastify's validator compiler. Bodies are taken as they are: no value is coerced and no unknown field dropped.
 * Text (query, headers, path) is coerced to its declared type. Validation stops at the first error, so that a hostile
 * body cannot produce a long error list. `shared` holds the schemas that others refer to by `$id`.
 */
export function validatorCompilers (formats: Formats) {
  // Fastify requests a compiler for each encapsulated section, with the same schemas.
  const compilers = new Map<string, FastifySchemaCompiler<TSchema>>()
  return (shared: SharedSchemas): FastifySchemaCompiler<TSchema> => {
    const names = Object.keys(shared).join()
    let compiler = compilers.get(names)
    if (compiler === undefined) {
      compiler = validatorCompiler(shared, formats)
      compilers.set(names, compiler)
    }
    return compiler
  }
}

/**
 * By schema, for all apps of the process: route schemas are constants, and the shared ones are the same in each app.
 */
const bodies = new WeakMap<object, Validator>()
const texts = new WeakMap<object, Validator>()

type Validator = ((data: unknown) => boolean | { error: Error }) & { errors?: ErrorObject[] | null }

/** Compiles at the first call. Compiling all schemas would be most of the time of a start. */
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

/**
 * Returns a validator for values that are taken as they are: nothing is coerced, and validation stops at the first
 * error.
 */
export function exactValidator (formats: Formats): Ajv {
  const ajv = new Ajv({ ...options, coerceTypes: false })
  addFormats(ajv, formats)
  return ajv
}

/** Returns the path and the message of a failed validation for the client. */
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

/** Adds the checked formats, and names of formats that accept any text. */
function addFormats (ajv: Ajv, formats: Formats): void {
  for (const [name, validate] of formats) ajv.addFormat(name, validate)
  for (const name of ['password', 'binary', 'jwk', 'pem']) ajv.addFormat(name, true)
}

function validatorCompiler (shared: SharedSchemas, formats: Formats): FastifySchemaCompiler<TSchema> {
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

/** Rejects text that coercion would turn into a different number. Numbers in a body are checked when it is parsed. */
function withExactNumbers (validate: Validator, { properties = {} }: TSchema): Validator {
  const isNumeric = ({ type }: TSchema) => type === 'integer' || type === 'number'
  const names = Object.entries(properties as Record<string, TSchema>).filter(([, schema]) => isNumeric(schema)).map((
    [name]
  ) => name)
  if (names.length === 0) return validate
  const check: Validator = data => {
    for (const name of names) {
      const text = (data as Record<string, unknown> | null)?.[name]
      if (typeof text === 'string' && isNumber(text) && !isExactNumber(text)) {
        return { error: inexact(`/${name}`, text) }
      }
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
