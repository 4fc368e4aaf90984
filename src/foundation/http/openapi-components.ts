import { findEnum } from '../../../schemas/common.ts'

/*
 * Turns repeated parts of the generated document into components: refusals, parameters and enums. Generated clients get
 * names for them, and the document shrinks to a third.
 */

interface Schema {
  $ref?: string
  type?: unknown
  enum?: unknown[]
  const?: unknown
  default?: unknown
  description?: string
  examples?: unknown[]
  example?: unknown
  anyOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  [more: string]: unknown
}
interface Media {
  schema?: Schema
  example?: unknown
}
interface Parameter {
  $ref?: string
  in: string
  name: string
  description?: string
  schema: Schema
}
interface Answer {
  $ref?: string
  content?: Record<string, Media>
}
interface Operation {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Answer>
}
interface Components {
  schemas: Record<string, Schema>
  responses: Record<string, Answer>
  parameters?: Record<string, Parameter>
}
export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>
  components: Components
}

/** Changes the document in place. */
export function shareComponents<T extends object> (generated: T, refusalNames: Record<string, string>): T {
  // The types of @fastify/swagger leave most parts of a document optional.
  const { components, paths } = generated as T & OpenApiDocument
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.values(methods).map(operation => ({ path, operation }))
  )
  for (const { operation } of operations) {
    for (const [status, answer] of Object.entries(operation.responses)) {
      const isRefusal = answer.content?.['application/json']?.schema?.$ref === '#/components/schemas/Error'
      if (isRefusal) operation.responses[status] = { $ref: `#/components/responses/${refusalNames[status]}` }
    }
  }
  const enums: Record<string, Schema> = {}
  for (const schema of Object.values(components.schemas)) {
    nameEnums(schema, enums)
    describeDefaults(schema)
  }
  nameEnums(paths, enums)
  Object.assign(components.schemas, Object.fromEntries(Object.entries(enums).sort(([a], [b]) => a < b ? -1 : 1)))
  for (const { operation } of operations) {
    for (const media of Object.values(operation.requestBody?.content ?? {})) {
      media.example = exampleOf(media.schema ?? {}, components.schemas)
    }
  }
  components.parameters = shareParameters(operations)
  return generated
}

/** Replaces named enums by references. Descriptions of a single use stay beside the reference. */
function nameEnums (schema: Record<string, unknown>, found: Record<string, Schema>): void {
  for (const [key, part] of Object.entries(schema)) {
    if (typeof part !== 'object' || part === null || key === 'examples' || key === 'example') continue
    const one = part as Schema
    const named = Array.isArray(one.enum) ? findEnum(one.enum) : undefined
    if (named === undefined) {
      nameEnums(one, found)
      continue
    }
    const { name, description } = named
    found[name] ??= {
      type: 'string',
      enum: one.enum as unknown[],
      ...(description !== undefined && { description: description as string })
    }
    const { type: _, enum: __, ...rest } = one
    if (rest.description === description) delete rest.description
    schema[key] = { $ref: `#/components/schemas/${name}`, ...rest }
  }
}

/** Moves defaults into descriptions: generators would require a field with a default, though callers may omit it. */
function describeDefaults (schema: Schema): void {
  for (const part of Object.values(schema.properties ?? {})) {
    describeDefaults(part)
    if (part.default === undefined) continue
    part.description = `${part.description ?? ''} Default: \`${JSON.stringify(part.default).replaceAll('"', '')}\`.`
      .trim()
    delete part.default
  }
}

/** Returns the example of a schema: its own, or one composed of the examples of its parts. */
function exampleOf (given: Schema, schemas: Record<string, Schema>): unknown {
  const target = given.$ref === undefined ? {} : schemas[given.$ref.split('/').at(-1) ?? ''] ?? {}
  const schema = { ...target, ...given }
  const own = [schema.examples?.[0], schema.example, schema.const, schema.enum?.[0]].find(value => value !== undefined)
  if (own !== undefined) return own
  if (schema.anyOf !== undefined) return exampleOf(schema.anyOf[0] ?? {}, schemas)
  if (schema.type === 'array') return schema.items === undefined ? [] : [exampleOf(schema.items, schemas)]
  if (schema.properties === undefined) return undefined
  const parts = Object.entries(schema.properties).map(([name, part]) => [name, exampleOf(part, schemas)])
  return Object.fromEntries(parts.filter(([, value]) => value !== undefined))
}

/** Replaces parameters that several operations share by references, and returns them by name. */
function shareParameters (operations: { path: string, operation: Operation }[]): Record<string, Parameter> {
  const uses = operations.flatMap(({ path, operation: { parameters = [] } }) =>
    parameters.map((parameter, i) => ({ path, parameters, parameter, i }))
  )
  const shared: Record<string, Parameter> = {}
  const alike = new Map<string, typeof uses>()
  for (const use of uses) {
    const key = JSON.stringify(use.parameter)
    alike.set(key, [...alike.get(key) ?? [], use])
  }
  // The most used parameter gets the short name.
  for (const same of [...alike.values()].sort((a, b) => b.length - a.length)) {
    const [first] = same
    if (first === undefined || same.length < 2) continue
    const ownName = nameOf(first.path, first.parameter)
    const ofPath = pascal(first.path.split('/').findLast(part => /^[a-z-]+$/.test(part)) ?? '') + ownName
    const name = [ownName, ownName + pascal(first.parameter.in), ofPath].find(one => shared[one] === undefined)
    if (name === undefined) continue
    shared[name] = first.parameter
    for (const { parameters, i } of same) parameters[i] = { $ref: `#/components/parameters/${name}` } as Parameter
  }
  return Object.fromEntries(Object.entries(shared).sort(([a], [b]) => a < b ? -1 : 1))
}

/** Names an id parameter after the path segment before it. */
function nameOf (path: string, { in: place, name }: Parameter): string {
  const section = path.split('/{id}', 1)[0]?.split('/').at(-1) ?? ''
  return place === 'path' && name === 'id'
    ? `${pascal(section.replace(/ies$/, 'y').replace(/s$/, ''))}Id`
    : pascal(name.replace(/^x-/, ''))
}

const pascal = (text: string) => text.replaceAll(/(?:^|[-_])([a-z])/g, (_, letter: string) => letter.toUpperCase())
