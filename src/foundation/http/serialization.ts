import fastJsonStringify, { type Options } from 'fast-json-stringify'
import { isPlainObject } from '../json.ts'

type Schemas = Record<string, unknown>
type Serializer = (value: unknown) => string

const reference = /"\$ref":"([^"#]+)#/g

/** For all apps of the process, by the text of the schema and of those that it refers to. */
const compiled = new Map<string, Serializer>()

/**
 * Compiles each response schema at its first use, once for all routes that use it, with only the shared schemas that it
 * refers to. Fastify's own compiler does this at the start for each route and status, each time with all shared
 * schemas: with a hundred routes that would be most of the time of a start.
 */
export function serializerCompilers () {
  return (shared?: unknown, options: object = {}) => ({ schema }: { schema?: unknown }): Serializer => {
    let serializer: Serializer | undefined
    return value => (serializer ??= compile(schema as object, isPlainObject(shared) ? shared : {}, options))(value)
  }
}

function compile (schema: object, shared: Schemas, options: object): Serializer {
  const text = JSON.stringify(schema)
  const used = referredTo(text, shared)
  const key = JSON.stringify([text, used])
  let serializer = compiled.get(key)
  if (serializer === undefined) {
    serializer = fastJsonStringify(schema, { ...options, schema: used } as Options)
    compiled.set(key, serializer)
  }
  return serializer
}

/** Returns the shared schemas that a schema, given as text, refers to directly or indirectly. */
function referredTo (text: string, shared: Schemas): Schemas {
  const used: Schemas = {}
  const texts = [text]
  for (let next = texts.pop(); next !== undefined; next = texts.pop()) {
    for (const [, name = ''] of next.matchAll(reference)) {
      const schema = shared[name]
      if (schema === undefined || Object.hasOwn(used, name)) continue
      used[name] = schema
      texts.push(JSON.stringify(schema))
    }
  }
  return used
}
