import { describeChange, kebab } from './describe-change.ts'
import { pointerTo } from '../json.ts'
import { type Keywords, pointerOf, type SchemaNode } from '../schema-node.ts'

/** A keyword, property or required name of the writer that the reader no longer has. It needs no proof. */
export interface Removal { readonly path: string, readonly rule: string, readonly message: string }

/** Yields the removals between two schemas for the same place, not those below it. */
export function * removalsBetween (writer: SchemaNode, reader: SchemaNode): Generator<Removal> {
  if (typeof writer.keywords === 'boolean' || typeof reader.keywords === 'boolean') return
  const { properties, additionalProperties, required } = reader.keywords
  for (const word of Object.keys(writer.keywords) as (keyof Keywords)[]) {
    if (reader.keywords[word] !== undefined || word.endsWith('Rule')) continue
    yield {
      path: pointerOf(writer, word), rule: `${kebab(word)}-removed`, message: describeChange(word, writer, reader)
    }
  }
  for (const name of writer.keywords.properties?.keys() ?? []) {
    // Where the reader has `additionalProperties`, the walk compares the property with that schema.
    if (properties?.has(name) === true || additionalProperties !== undefined) continue
    yield {
      path: pointerTo(pointerOf(writer, 'properties'), name),
      rule: 'property-removed',
      message: `The property ${JSON.stringify(name)} is no longer declared.`
    }
  }
  for (const name of required === undefined ? [] : writer.keywords.required ?? []) {
    if (required?.includes(name) === true) continue
    yield {
      path: pointerOf(writer, 'required'),
      rule: 'required-removed',
      message: `The property ${JSON.stringify(name)} is no longer required.`
    }
  }
}
