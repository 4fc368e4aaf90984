import fastJsonStringify, { type Options } from 'fast-json-stringify'

type Schemas = Record<string, object>
type Serializer = (value: unknown) => string

const reference = /"\$ref":"([^"#]+)#/g

/** For all apps of the process, by what the schema and those that it refers to say. */
const compiled = new Map<string, Serializer>()

/**
 * Compiles each answer's schema when it is first given, once however many routes give it, and with the shared schemas
 * that it refers to. Fastify's own compiler does it at the start for each route and status, each time with all of them:
 * with a hundred routes that all refuse in one form, it would be most of what a start costs.
 */
export function serializerCompilers () {
  return (shared: Schemas | undefined, options: object = {}) => ({ schema }: { schema: object }): Serializer => {
    let serializer: Serializer | undefined
    return value => (serializer ??= compile(schema, shared ?? {}, options))(value)
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

/** The shared schemas that a schema, given as text, refers to, and those that they do. */
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
