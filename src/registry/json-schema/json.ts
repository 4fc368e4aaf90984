export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** A JSON Schema as received: an object or a boolean. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown }

export type JsonType = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object'
export const jsonTypes: readonly JsonType[] = ['null', 'boolean', 'number', 'string', 'array', 'object']

export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function typeOf (value: Json): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value as JsonType
}

/**
 * Returns a text of a JSON value. Two values are equal in the sense of JSON Schema exactly if their texts are equal.
 */
export function canonical (value: unknown): string {
  if (typeof value === 'number') return value === 0 ? '0' : String(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (isObject(value)) {
    const members = Object.keys(value).sort().map(key => `${JSON.stringify(key)}:${canonical(value[key])}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

export function has (object: object, key: string): boolean {
  return Object.hasOwn(object, key)
}

/** Sets an own property, even one with the name `__proto__`. */
export function setOwn (object: JsonObject, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

export function codePointLength (text: string): number {
  let length = 0
  for (let i = 0; i < text.length; i++) {
    length++
    if ((text.codePointAt(i) ?? 0) > 0xffff) i++
  }
  return length
}

export function pointerTo (parent: string, ...tokens: (string | number)[]): string {
  return parent + tokens.map(token => '/' + String(token).replaceAll('~', '~0').replaceAll('/', '~1')).join('')
}

/** Returns the value at a JSON Pointer, or undefined if there is none. */
export function valueAt (document: unknown, pointer: string): unknown {
  return pointer.split('/').slice(1).reduce<unknown>((value, token) => {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    return typeof value === 'object' && value !== null && has(value, key)
      ? (value as Record<string, unknown>)[key]
      : undefined
  }, document)
}
