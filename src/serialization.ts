import fastJsonStringify, { type Options } from 'fast-json-stringify'

type Schemas = Record<string, object>
type Serializer = (value: unknown) => string

const reference = /"\$ref":"([^"#]+)#/g

/**
 * Compiles each answer's schema once, however many routes give it, and with the shared schemas that it refers to. Fastify's
 * own compiler does it once a route and status, each time with all of them: with a hundred routes that all refuse in one form, it
 * is most of what a start costs.
 */
export function serializerCompilers () {
  const compiled = new Map<string, Serializer>()
  return (shared: Schemas | undefined, options: object = {}) => ({ schema }: { schema: object }): Serializer => {
    const text = JSON.stringify(schema)
    const used = referredTo(text, shared ?? {})
    const key = JSON.stringify([text, used])
    let serializer = compiled.get(key)
    if (serializer === undefined) {
      serializer = fastJsonStringify(schema, { ...options, schema: used } as Options)
      compiled.set(key, serializer)
    }
    return serializer
  }
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
