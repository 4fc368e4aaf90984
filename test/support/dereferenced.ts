import type { FastifyInstance } from 'fastify'

/** A schema of the OpenAPI document, as far as the tests read it. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  const?: unknown
  enum?: unknown[]
  default?: unknown
  examples?: unknown[]
  example?: unknown
  minProperties?: number
  [more: string]: unknown
}

const shared = /^#\/components\/(parameters|responses)\/(\w+)$/

/** Returns the OpenAPI document of the app as a client reads it. */
export const documentOf = <T>(app: FastifyInstance): T => JSON.parse(JSON.stringify(app.swagger())) as T

/** Returns the OpenAPI document with shared parameters and responses inlined. References to schemas stay. */
export function dereferenced<T> (document: object): T {
  const { components } = document as { components: Record<string, Record<string, unknown>> }
  return JSON.parse(JSON.stringify(document), (_key, value: unknown) => {
    const reference = typeof value === 'object' && value !== null && '$ref' in value && typeof value.$ref === 'string'
      ? shared.exec(value.$ref)
      : null
    const [, kind = '', name = ''] = reference ?? []
    return reference === null ? value : components[kind]?.[name]
  }) as T
}
