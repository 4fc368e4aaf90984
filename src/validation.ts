import { Ajv } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from '@sinclair/typebox'
import type { ErrorDetail } from './errors.ts'
import { FORMATS } from './schema-registry/formats.ts'
import { explain, type ValidatorError } from './validation-message.ts'

/**
 * Bodies are taken as they are: nothing is coerced, nothing unknown is dropped. What comes as text (query, headers,
 * path) is coerced to the type it stands for. The first error ends a validation, so that a hostile body cannot make
 * the list of its own faults long. `shared` are the schemas that others refer to by `$id`.
 */
export function validatorCompilers () {
  // Fastify asks anew in each section, with the same schemas.
  const compilers = new Map<string, FastifySchemaCompiler<TSchema>>()
  return (shared: Record<string, object>): FastifySchemaCompiler<TSchema> => {
    const names = Object.keys(shared).join()
    let compiler = compilers.get(names)
    if (compiler === undefined) {
      compiler = validatorCompiler(shared)
      compilers.set(names, compiler)
    }
    return compiler
  }
}

const options = { useDefaults: true, allErrors: false, strict: false, allowUnionTypes: true, verbose: true } as const

/** For what is taken as it is: nothing is coerced, and the first error ends a validation. */
export function exactValidator (): Ajv {
  const ajv = new Ajv({ ...options, coerceTypes: false })
  addFormats(ajv)
  return ajv
}

/** Returns what a failed validation says to the client: where, and what. */
export function toDetail (errors: readonly ValidatorError[]): ErrorDetail {
  const { instancePath = '', keyword = '', params = {}, message = 'is wrong' } = explain(errors)
  const property = keyword === 'additionalProperties' ? params['additionalProperty'] : keyword === 'required' ? params['missingProperty'] : undefined
  const path = property === undefined ? instancePath : `${instancePath}/${String(property).slice(0, 100)}`
  return { path, message: keyword === 'additionalProperties' ? 'is not a known field' : keyword === 'required' ? 'is required' : message }
}

/** The formats that take linear time, and names that assert nothing. */
function addFormats (ajv: Ajv): void {
  for (const [name, validate] of FORMATS) ajv.addFormat(name, validate)
  for (const name of ['password', 'binary', 'jwk', 'pem']) ajv.addFormat(name, true)
}

function validatorCompiler (shared: Record<string, object>): FastifySchemaCompiler<TSchema> {
  const exact = new Ajv({ ...options, coerceTypes: false })
  const coercing = new Ajv({ ...options, coerceTypes: true })
  for (const ajv of [exact, coercing]) {
    addFormats(ajv)
    for (const schema of Object.values(shared)) ajv.addSchema(schema)
  }
  return ({ schema, httpPart }) => (httpPart === 'body' ? exact : coercing).compile(schema)
}
