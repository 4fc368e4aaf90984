import { ConflictError, ValidationError } from '../errors.ts'
import { documentLimits, encodeJson, invalid, isPlainObject, jsonDepthMax } from '../foundation/json.ts'
import type { Mutation } from '../../schemas/documents.ts'
import { jsonEqual } from './json-equal.ts'
import { parsePointer } from './json-pointer.ts'
import { mergePatch } from './merge-patch.ts'

type JsonObject = Record<string, unknown>
type Container = JsonObject | unknown[]

/** A well-formed mutation. Whether it can be applied depends on the document. */
export interface CheckedMutation extends Mutation {
  tokens: readonly string[]
  /** The length of the value's JSON. */
  bytes: number
}

/**
 * Checks mutations without the document: the pointers, the presence and type of values, and that no value exceeds the
 * depth of a document. Throws ValidationError with the path of the field, such as `/mutations/3/value`.
 */
export function checkMutations (mutations: readonly Mutation[]): CheckedMutation[] {
  return mutations.map((mutation, i) => {
    const tokens = checkPointer(mutation.path, `/mutations/${i}/path`)
    return { ...mutation, tokens, bytes: checkValue(mutation, tokens, `/mutations/${i}/value`) }
  })
}

function checkPointer (pointer: string, path: string): string[] {
  const tokens = parsePointer(pointer)
  if (tokens === undefined) throw invalid(path, 'must be a JSON Pointer (RFC 6901)')
  const forbidden = tokens.find(token => documentLimits.forbiddenKeys.has(token))
  if (forbidden !== undefined) throw invalid(path, `must not have the key ${forbidden}`)
  return tokens
}

function checkValue ({ op, value }: Mutation, tokens: readonly string[], path: string): number {
  if (op === 'remove') {
    if (value !== undefined) throw invalid(path, 'must be absent for the op remove')
    return 0
  }
  if (op === 'increment') {
    if (value !== undefined && (typeof value !== 'number' || !Number.isFinite(value))) {
      throw invalid(path, 'must be a finite number')
    }
    return 0
  }
  if (value === undefined) throw invalid(path, 'is required')
  if (op === 'merge' && !isPlainObject(value)) throw invalid(path, 'must be an object')
  const { length } = encodeJson(value, path, documentLimits)
  const depth = tokens.length + (op === 'append' && tokens.at(-1) !== '-' ? 1 : 0) + depthOf(value)
  if (op !== 'test' && depth > jsonDepthMax) {
    throw invalid(path, `would make the document deeper than ${jsonDepthMax} levels`)
  }
  return length
}

function depthOf (value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let deepest = 0
  for (const member of Object.values(value)) deepest = Math.max(deepest, depthOf(member))
  return deepest + 1
}

/**
 * Applies all mutations in order and returns the result. Does not modify `data`; parts that no mutation touches are
 * shared with the result. Throws ValidationError `MUTATION_FAILED`, or for a failed `test` ConflictError
 * `MUTATION_FAILED`, with the mutation's index, op, path and the reason.
 *
 * - Parents must exist. In an array, `-` and the index one past the end are the position after the last item.
 * - `set` sets a member or replaces an item. At the root, the value must be an object.
 * - `increment` adds `value` (default 1); a missing member counts as 0. A sum beyond 2^53 - 1 is refused.
 * - `append` adds `value` after the last item of the array at `path`; a missing member counts as an empty array.
 * - `merge` applies RFC 7396 at `path`; a missing member counts as `{}`.
 * - `remove` requires that the member or item exists.
 */
export function applyMutations (data: JsonObject, mutations: readonly CheckedMutation[]): JsonObject {
  const draft = new Draft(data)
  for (const [index, mutation] of mutations.entries()) {
    try {
      draft.apply(mutation)
    } catch (error) {
      throw error instanceof Failure ? refusal(error, index, mutation) : error
    }
  }
  return draft.root
}

/** Thrown when a mutation cannot be applied. The message is the reason. */
class Failure extends Error {}

function refusal (failure: Failure, index: number, { op, path }: Mutation): ValidationError | ConflictError {
  const shownPath = path.length > 200 ? `${path.slice(0, 200)}…` : path
  const Refusal = op === 'test' ? ConflictError : ValidationError
  return new Refusal('MUTATION_FAILED', `Mutation ${index} (${op} "${shownPath}") failed: ${failure.message}`, {
    details: [{ path: `/mutations/${index}`, message: failure.message }], cause: failure
  })
}

/** A value that is being changed. Copies each object and array once, before the first write to it. */
class Draft {
  root: JsonObject
  readonly #owned = new WeakSet<object>()

  constructor (root: JsonObject) {
    this.root = root
  }

  apply ({ op, tokens, value }: CheckedMutation): void {
    if (op === 'test') return this.#test(tokens, value)
    const last = tokens.at(-1)
    if (last === undefined) return this.#applyToRoot(op, value)
    const parent = this.#parentOf(tokens)
    switch (op) {
      case 'set': return put(parent, last, value)
      case 'remove': return remove(parent, last)
      case 'increment': return put(parent, last, increase(find(parent, last), (value ?? 1) as number))
      case 'merge': return put(parent, last, mergePatch(find(parent, last), value, object => this.#own(object)))
      case 'append': return this.#append(parent, last, value)
    }
  }

  #applyToRoot (op: Mutation['op'], value: unknown): void {
    if (op === 'merge') {
      this.root = mergePatch(this.root, value as JsonObject, object => this.#own(object))
    } else if (op === 'set' && isPlainObject(value)) {
      this.root = value
    } else {
      throw new Failure(op === 'set' ? 'the document must stay an object' : 'the document itself cannot be the target')
    }
  }

  #append (parent: Container, last: string, value: unknown): void {
    if (Array.isArray(parent) && last === '-') {
      parent.push(value)
      return
    }
    const list = find(parent, last) ?? []
    if (!Array.isArray(list)) throw new Failure(`the target is ${kindOf(list)}, not an array`)
    const own = this.#own(list)
    own.push(value)
    put(parent, last, own)
  }

  #test (tokens: readonly string[], value: unknown): void {
    let node: unknown = this.root
    for (const [i, token] of tokens.entries()) node = find(toContainer(node, tokens, i), token)
    if (node === undefined) throw new Failure('the target does not exist')
    if (!jsonEqual(node, value)) throw new Failure('the target does not equal the value')
  }

  /** Returns the object or array that contains the last token, ready for writes. */
  #parentOf (tokens: readonly string[]): Container {
    this.root = this.#own(this.root)
    let node: Container = this.root
    for (let i = 0; i < tokens.length - 1; i++) {
      const token = tokens[i] as string
      const child: Container = this.#own(toContainer(find(node, token), tokens, i + 1))
      put(node, token, child)
      node = child
    }
    return node
  }

  #own<T extends Container> (container: T): T {
    if (this.#owned.has(container)) return container
    const copy = (Array.isArray(container) ? container.slice() : { ...container }) as T
    this.#owned.add(copy)
    return copy
  }
}

function toContainer (node: unknown, tokens: readonly string[], depth: number): Container {
  if (typeof node === 'object' && node !== null) return node as Container
  const pointer = tokens.slice(0, depth).join('/').slice(0, 200)
  throw new Failure(
    node === undefined ? `"/${pointer}" does not exist` : `"/${pointer}" is ${kindOf(node)}, which has no members`
  )
}

/** Returns a member or item, or undefined if it does not exist. */
function find (container: Container, token: string): unknown {
  if (Array.isArray(container)) return container[indexIn(container, token)]
  return Object.hasOwn(container, token) ? container[token] : undefined
}

function put (container: Container, token: string, value: unknown): void {
  if (!Array.isArray(container)) {
    container[token] = value
    return
  }
  const index = indexIn(container, token)
  if (index > container.length) throw new Failure(`index ${index} is outside the array of ${container.length} items`)
  container[index] = value
}

function remove (container: Container, token: string): void {
  if (find(container, token) === undefined) throw new Failure('the target does not exist')
  if (Array.isArray(container)) container.splice(indexIn(container, token), 1)
  else delete container[token]
}

function increase (current: unknown, by: number): number {
  if (current !== undefined && typeof current !== 'number') {
    throw new Failure(`the target is ${kindOf(current)}, not a number`)
  }
  const before = current ?? 0
  const sum = before + by
  if (!Number.isFinite(sum)) throw new Failure('the sum is not a finite number')
  if (![before, by, sum].every(isCountable)) {
    throw new Failure(
      `the target, the value and the sum must be between ±${Number.MAX_SAFE_INTEGER}, where every integer is exact`
    )
  }
  if (sum === before && by !== 0) throw new Failure(`${by} is too small to change ${before}`)
  return sum
}

/** Returns whether every integer up to the value is exact. Beyond 2^53 - 1, adding 1 may not change a double. */
const isCountable = (value: number) => Math.abs(value) <= Number.MAX_SAFE_INTEGER

/** Returns an array index (RFC 6901 §4): digits without leading zeros, or `-` for the position after the last item. */
function indexIn (array: unknown[], token: string): number {
  if (token === '-') return array.length
  if (!/^(?:0|[1-9]\d{0,9})$/.test(token)) throw new Failure(`"${token.slice(0, 100)}" is not an array index`)
  return Number(token)
}

function kindOf (value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
