import { toDraft07 } from '../json-schema/draft-07.ts'
import type { JsonObject, JsonSchema } from '../json-schema/json.ts'
import { SchemaError } from '../json-schema/schema-error.ts'
import type { TopicSchema } from './checker-task.ts'

/** The JSON Pointer to the schema of a topic in an AsyncAPI document. Names of topics need no escapes. */
export const componentOf = (topic: string): string => `#/components/schemas/${topic}`

/** Limits the text of a translated schema, in proportion to the schema. */
const charactersPerByte = 8
const charactersMin = 8_192

/** Returns the schemas of the topics in draft-07, as members of a JSON object without its braces. */
export function translateTopics (topics: readonly TopicSchema[]): string {
  const members = topics.flatMap(({ topic, schema }) =>
    schema === null ? [] : [`${JSON.stringify(topic)}:${translate(topic, schema)}`]
  )
  return members.join(',')
}

function translate (topic: string, schema: string): string {
  try {
    const text = JSON.stringify(toDraft07(JSON.parse(schema) as JsonSchema, componentOf(topic)))
    return text.length > charactersMin + charactersPerByte * schema.length
      ? JSON.stringify(described('The schema is too large in draft-07.'))
      : text
  } catch (error) {
    if (error instanceof SchemaError) return JSON.stringify(described('The schema cannot be read.'))
    if (error instanceof RangeError) return JSON.stringify(described('The schema is nested too deeply.'))
    throw error
  }
}

const described = (reason: string): JsonObject => ({ description: `${reason} Read it with GET /api/schemas.` })
