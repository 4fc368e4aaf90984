import { isObject, type Json } from '../json.ts'

/** Limits the examples that are tried. */
const examplesMax = 50

/** Returns `examples` and `default` of a schema as its author wrote it. */
export function writtenExamples (raw: unknown): Json[] {
  if (!isObject(raw)) return []
  const examples = Array.isArray(raw['examples']) ? raw['examples'].slice(0, examplesMax) : []
  return [...examples, ...'default' in raw ? [raw['default']] : []] as Json[]
}
