import addFormats from 'ajv-formats'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dereferenced } from './dereferenced.ts'
import { root } from './repository.ts'

/* The committed document, which requests are made from and responses are checked against. */

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
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
}
export interface Parameter { in: 'path' | 'query' | 'header', name: string, example?: unknown, schema: Schema }
type Content = Record<string, { schema: Schema }>
export interface Operation {
  id: string
  method: string
  path: string
  parameters: Parameter[]
  /** The schema of the body, if there is one. */
  body: Schema | undefined
  isPublic: boolean
  answers: Record<string, { content?: Content }>
}

interface Described {
  operationId: string
  parameters?: Parameter[]
  requestBody?: { content: Content }
  responses: Operation['answers']
  security: unknown[]
}
const document = dereferenced<
  { paths: Record<string, Record<string, Described>>, components: { schemas: Record<string, Schema> } }
>(JSON.parse(readFileSync(join(root, 'openapi.json'), 'utf8')))

export const operations: readonly Operation[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => ({
    id: described.operationId, method: method.toUpperCase(), path, parameters: described.parameters ?? [],
    body: described.requestBody?.content['application/json']?.schema, isPublic: described.security.length === 0,
    answers: described.responses
  }))
)

export const resolve = (schema: Schema): Schema =>
  schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1) as string] as Schema

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)
ajv.addSchema(document, 'openapi')
const validators = new Map<Schema, ValidateFunction>()

/** Returns how a response differs from the document; undefined if it does not. */
export function faultOf (operation: Operation, status: number, contentType: string, body: string): string | undefined {
  const described = operation.answers[status]
  if (described === undefined) return 'an undeclared status'
  if (described.content === undefined || status === 304) {
    return body === ''
      ? undefined
      : 'an undeclared body'
  }
  const type = contentType.split(';', 1)[0] ?? ''
  const schema = described.content[type]?.schema
  if (schema === undefined) return `an undeclared content type: ${type}`
  return faultIn(schema, type === 'application/json' ? parsed(body) : body)
}

const refusal: Schema = { $ref: '#/components/schemas/Error' }

/** Returns how an error response differs from the shape of all error responses. */
export const faultOfRefusal = (body: string) => faultIn(refusal, parsed(body))

function faultIn (schema: Schema, value: unknown): string | undefined {
  let validate = validators.get(schema)
  if (validate === undefined) {
    validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')))
    validators.set(schema, validate)
  }
  return validate(value) ? undefined : ajv.errorsText(validate.errors)
}

function parsed (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
