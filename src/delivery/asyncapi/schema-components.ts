import type { TSchema } from '@sinclair/typebox'
import { findEnum } from '../../../schemas/common.ts'

export interface Reference { $ref: string }
type Json = Record<string, unknown>

/**
 * Collects the schemas of an AsyncAPI document. A schema with an `$id`, and an enum with a name, becomes a component
 * wherever it is nested; the places that use it refer to it.
 */
export class SchemaComponents {
  readonly #schemas = new Map<string, Json>()

  /** Adds a schema with an `$id`, with all schemas in it, and returns the reference. */
  add (schema: TSchema): Json {
    return this.#convert(schema) as Json
  }

  /** Returns the components by name, in alphabetical order. */
  toJSON (): Json {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => a < b ? -1 : 1))
  }

  #convert (value: unknown): unknown {
    if (Array.isArray(value)) return value.map(item => this.#convert(item))
    if (typeof value !== 'object' || value === null) return value
    const { $id, ...schema } = value as Json
    if (typeof $id === 'string') return this.#share($id, schema)
    const named = Array.isArray(schema['enum']) ? findEnum(schema['enum']) : undefined
    if (named === undefined) return this.#fields(schema)
    const { type, enum: values, description } = schema
    const reference = this.#share(named.name, {
      type, enum: values, ...(named.description !== undefined && { description: named.description })
    })
    // A description beside the `$ref` would be ignored.
    return description === undefined || description === named.description
      ? reference
      : { allOf: [reference], description }
  }

  #share (name: string, schema: Json): Reference {
    const converted = this.#fields(schema)
    const known = this.#schemas.get(name)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(converted)) {
      throw new Error(`The document has two schemas with the name ${name}`)
    }
    this.#schemas.set(name, converted)
    return { $ref: `#/components/schemas/${name}` }
  }

  /** Examples are data, even if they look like schemas. */
  #fields (schema: Json): Json {
    return Object.fromEntries(
      Object.entries(schema).map(([key, part]) => [key, key === 'examples' ? part : this.#convert(part)])
    )
  }
}
