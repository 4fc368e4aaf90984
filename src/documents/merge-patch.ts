import { isPlainObject } from '../foundation/json.ts'

type JsonObject = Record<string, unknown>
const copy = (object: JsonObject): JsonObject => ({ ...object })

/**
 * Applies RFC 7396 without changing its arguments. Members that the patch does not touch are shared with the target.
 * The keys of both have passed `documentLimits`, so none is `__proto__`. `own` returns a writable copy of an object; to
 * merge many times into one value, pass a function that copies each object only once.
 */
export function mergePatch (target: unknown, patch: JsonObject, own?: (object: JsonObject) => JsonObject): JsonObject
export function mergePatch (target: unknown, patch: unknown, own?: (object: JsonObject) => JsonObject): unknown
export function mergePatch (target: unknown, patch: unknown, own = copy): unknown {
  if (!isPlainObject(patch)) return patch
  const result = own(isPlainObject(target) ? target : {})
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (value === null) delete result[key]
    else result[key] = mergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value, own)
  }
  return result
}
