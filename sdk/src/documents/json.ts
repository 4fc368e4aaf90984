/*
 * Changes to JSON values. They leave their argument alone and share every part that they do not touch, so that a view
 * can compare parts by identity. The mutation language is the server's (`mutateDocument` in openapi.json).
 */

export type JsonObject = Record<string, unknown>
type Container = JsonObject | unknown[]

/** An operation of a JSON Patch (RFC 6902). The server sends these three. */
export interface PatchOperation { op: 'add' | 'replace' | 'remove', path: string, value?: unknown }

/** A change of one part of a document. `path` is a JSON Pointer (RFC 6901) whose parent must exist. */
export type Mutation =
  /** `set` sets a member or replaces an item. `append` adds an item to an array. `test` refuses all if it fails. */
  | { op: 'set' | 'append' | 'test', path: string, value: unknown }
  /** Adds `value`, by default 1. A missing member counts as 0. */
  | { op: 'increment', path: string, value?: number }
  | { op: 'remove', path: string }
  /** Applies a merge patch (RFC 7396) to the value at `path`. */
  | { op: 'merge', path: string, value: object }

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Returns `after`, with the parts that equal those of `before` replaced by them; `before` itself if all are equal. */
export function share<T> (before: unknown, after: T): T
export function share (before: unknown, after: unknown): unknown {
  if (before === after) return before
  if (Array.isArray(before) && Array.isArray(after)) {
    const items = after.map((item, i) => share(before[i], item))
    return items.length === before.length && items.every((item, i) => item === before[i]) ? before : items
  }
  if (!isObject(before) || !isObject(after)) return after
  const entries = Object.entries(after).map(([key, value]) => [key, share(find(before, key), value)] as const)
  return entries.length === Object.keys(before).length && entries.every(([key, value]) => find(before, key) === value)
    ? before
    : Object.fromEntries(entries)
}

/** Applies a JSON Patch. Throws if it does not apply. */
export function applyPatch (data: unknown, patch: readonly PatchOperation[]): unknown {
  for (const { op, path, value } of patch) {
    const tokens = parse(path)
    if (tokens.length === 0) data = op === 'remove' ? undefined : value
    else {
      data = edit(data, tokens, (parent, token) => {
        if (op !== 'add' && find(parent, token) === undefined) fail()
        if (op === 'remove') remove(parent, token)
        else if (op === 'add' && Array.isArray(parent)) parent.splice(indexIn(parent, token), 0, value)
        else put(parent, token, value)
      })
    }
  }
  return data
}

/** Applies a merge patch (RFC 7396): null removes a member, objects are merged, everything else is replaced. */
export function mergePatch (target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const result = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else put(result, key, mergePatch(find(result, key), value))
  }
  return result
}

/** Applies mutations in order. Throws if the server would refuse them for this data. */
export const applyMutations = (data: unknown, mutations: readonly Mutation[]): unknown =>
  mutations.reduce(applyMutation, data)

function applyMutation (data: unknown, { op, path, ...rest }: Mutation): unknown {
  const value = 'value' in rest ? rest.value : undefined
  const tokens = parse(path)
  if (op !== 'increment' && (op === 'remove') !== (value === undefined)) fail()
  if (op === 'merge' && !isObject(value)) fail()
  if (op === 'test') {
    const found = tokens.reduce((node, token) => isContainer(node) ? find(node, token) : fail(), data)
    return found !== undefined && share(found, value) === found ? data : fail()
  }
  if (tokens.length === 0) {
    if (op === 'merge') return mergePatch(data, value)
    return op === 'set' && isObject(value) ? value : fail()
  }
  return edit(data, tokens, (parent, token) => {
    const isNext = op === 'append' && token === '-' && Array.isArray(parent)
    if (op === 'set' || isNext) return put(parent, token, value)
    const before = find(parent, token)
    if (op === 'remove') remove(parent, before === undefined ? fail() : token)
    else if (op === 'merge') put(parent, token, mergePatch(before, value))
    else if (op === 'append') put(parent, token, [...listOf(before), value])
    else put(parent, token, increase(before, value))
  })
}

const listOf = (value: unknown = []): unknown[] => Array.isArray(value) ? value : fail()

function increase (before: unknown = 0, by: unknown = 1): number {
  if (typeof before !== 'number' || typeof by !== 'number') return fail()
  const sum = before + by
  // Beyond 2^53 - 1, adding 1 may not change a double.
  const isExact = [before, by, sum].every(value => Math.abs(value) <= Number.MAX_SAFE_INTEGER)
  return isExact && (sum !== before || by === 0) ? sum : fail()
}

/** Returns a copy in which `change` has changed the object or array that contains the last token. */
function edit (
  node: unknown, tokens: readonly string[], change: (parent: Container, token: string) => void, depth = 0
): Container {
  if (!isContainer(node)) return fail()
  const copy = Array.isArray(node) ? [...node as unknown[]] : { ...node }
  const token = tokens[depth] as string
  if (depth === tokens.length - 1) change(copy, token)
  else put(copy, token, edit(find(copy, token), tokens, change, depth + 1))
  return copy
}

const isContainer = (node: unknown): node is Container => typeof node === 'object' && node !== null

function find (container: Container, token: string): unknown {
  if (Array.isArray(container)) return container[indexIn(container, token)]
  return Object.hasOwn(container, token) ? container[token] : undefined
}

function put (container: Container, token: string, value: unknown): void {
  if (Array.isArray(container)) container[indexIn(container, token)] = value
  // An assignment would change the prototype.
  else if (token === '__proto__') fail()
  else container[token] = value
}

function remove (container: Container, token: string): void {
  if (Array.isArray(container)) container.splice(indexIn(container, token), 1)
  else delete container[token]
}

/** Returns an index up to the length of the array; `-` is the position after the last item (RFC 6901 §4). */
function indexIn (array: unknown[], token: string): number {
  const index = token === '-' ? array.length : /^(0|[1-9]\d*)$/.test(token) ? Number(token) : fail()
  return index <= array.length ? index : fail()
}

function parse (pointer: string): string[] {
  if (pointer === '') return []
  if (!/^\/(?:[^~]|~[01])*$/s.test(pointer)) fail()
  return pointer.slice(1).split('/').map(token => token.replace(/~1/g, '/').replace(/~0/g, '~'))
}

function fail (): never {
  throw new RangeError('The change does not apply')
}
