import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from '@sinclair/typebox'

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

function validatorCompiler (shared: Record<string, object>): FastifySchemaCompiler<TSchema> {
  const options = { useDefaults: true, allErrors: false, strict: false, allowUnionTypes: true } as const
  const exact = new Ajv({ ...options, coerceTypes: false })
  const coercing = new Ajv({ ...options, coerceTypes: true })
  for (const ajv of [exact, coercing]) {
    addFormats.default(ajv)
    for (const schema of Object.values(shared)) ajv.addSchema(schema)
  }
  return ({ schema, httpPart }) => (httpPart === 'body' ? exact : coercing).compile(schema)
}
