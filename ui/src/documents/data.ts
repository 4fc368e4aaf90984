import { parseJson } from '../components/json-editor.tsx'

/* The data of a document, and changes of it by two people. */

export type Data = Record<string, unknown>

export const isObject = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const toText = (data: unknown): string => (data === undefined ? '' : JSON.stringify(data, null, 2))

/** Reads the text of an editor: a JSON object, or the problem in a sentence. */
export function parseData (text: string): { data?: Data; problem?: string } {
  const { value, problem } = parseJson(text)
  if (problem !== undefined) return { problem }
  return isObject(value) ? { data: value } : { problem: 'The data of a document is a JSON object' }
}

const isEqual = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b)

const canonical = (value: unknown): string | undefined =>
  JSON.stringify(value, (_, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part
  )

const pointer = (path: string, key: string): string => `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`

export interface Merge {
  data: Data
  /** JSON Pointers to the parts that both have changed differently. In `data` they are mine. */
  conflicts: string[]
}

/**
 * Applies the changes from `base` to `mine` to `theirs`. Objects are merged member by member; a list is one value,
 * because its items have no names.
 */
export function mergeChanges (base: Data, theirs: Data, mine: Data, path = ''): Merge {
  const data: Data = {}
  const conflicts: string[] = []
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    const [was, their, my] = [own(base, key), own(theirs, key), own(mine, key)]
    if (isObject(their) && isObject(my) && !isEqual(their, my)) {
      const inner = mergeChanges(isObject(was) ? was : {}, their, my, pointer(path, key))
      data[key] = inner.data
      conflicts.push(...inner.conflicts)
      continue
    }
    const isMine = !isEqual(was, my)
    const value = isMine ? my : their
    if (value !== undefined) data[key] = value
    if (isMine && !isEqual(was, their) && !isEqual(their, my)) conflicts.push(pointer(path, key))
  }
  return { data, conflicts }
}

const own = (data: Data, key: string): unknown => (Object.hasOwn(data, key) ? data[key] : undefined)

/** Returns the JSON Pointers of the parts that differ, as deep as both are objects. */
export function changedPaths (before: unknown, after: unknown, path = ''): string[] {
  if (isEqual(before, after)) return []
  if (!isObject(before) || !isObject(after)) return [path]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap(key =>
    changedPaths(own(before, key), own(after, key), pointer(path, key))
  )
}
