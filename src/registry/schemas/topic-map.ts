import type { JsonSchema } from '../json-schema/json.ts'
import { SchemaError } from '../json-schema/schema-error.ts'
import { indent, textLiteral } from '../json-schema/typescript/ts-syntax.ts'
import { type PrintedType, printTypeScript, withType } from '../json-schema/typescript/typescript.ts'
import type { TopicSchema } from './checker-task.ts'

/**
 * Returns TypeScript with the types of the topics' payloads as members of the interface `TopicMap`. A file may declare
 * the interface several times: the members add up.
 */
export function printTopics (topics: readonly TopicSchema[]): string {
  const printed = topics.map(({ topic, schema }) => ({ topic, ...schema === null ? unchecked : print(topic, schema) }))
  const members = printed.map(({ topic, comment, type }) =>
    [...comment, withType(`${textLiteral(topic)}:`, type)].join('\n')
  )
  const declarations = printed.flatMap(one => one.declarations)
  const map = `export interface TopicMap {\n${indent(members.join('\n'))}\n}`
  return [map, ...declarations].map(text => `${text}\n`).join('\n')
}

const unchecked: PrintedType = { type: 'unknown', comment: ['/** No schema is active. */'], declarations: [] }

/** A schema that an earlier version of the platform accepted costs only its own topic the type. */
function print (topic: string, schema: string): PrintedType {
  try {
    return printTypeScript(topic, JSON.parse(schema) as JsonSchema)
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    return { type: 'unknown', comment: ['/** The schema cannot be read. */'], declarations: [] }
  }
}
