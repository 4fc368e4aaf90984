import { isUtf8 } from 'node:buffer'
import { ValidationError } from '../errors.ts'

export const jsonDepthMax = 64
export const jsonBytesMax = 256 * 1024

/**
 * Parses untrusted bytes; `what` names them in errors. Also returns their text, which alone preserves numbers as they
 * were sent. Throws ValidationError `INVALID_UTF8` or `INVALID_JSON`.
 */
export function parseJson (bytes: Buffer, what = 'The body'): { value: unknown, text: string } {
  if (!isUtf8(bytes)) throw new ValidationError('INVALID_UTF8', `${what} is not valid UTF-8`)
  if (bytes.length === 0) throw new ValidationError('INVALID_JSON', `${what} is empty; JSON is expected`)
  const text = bytes.toString()
  try {
    return { value: JSON.parse(text), text }
  } catch (error) {
    throw new ValidationError('INVALID_JSON', `${what} is not valid JSON: ${(error as Error).message}`, {
      cause: error
    })
  }
}

export interface JsonLimits {
  /** Limit of the serialised JSON; `jsonBytesMax` by default. */
  bytesMax?: number
  /** Keys that are rejected at any depth. */
  forbiddenKeys: ReadonlySet<string>
}

export const payloadLimits: JsonLimits = { forbiddenKeys: new Set(['__proto__']) }
export const documentLimits: JsonLimits = { forbiddenKeys: new Set(['__proto__', 'constructor', 'prototype']) }

/**
 * Serialises a parsed JSON value after checking it: depth, size, finite numbers (`1e400` parses to Infinity), no NUL
 * (PostgreSQL's jsonb and text reject it), and no key that pollutes prototypes. `path` is the JSON Pointer of the value
 * in the request, for error messages.
 */
export function encodeJson (value: unknown, path: string, limits: JsonLimits = payloadLimits): string {
  const { bytesMax = jsonBytesMax } = limits
  checkJson(value, path, 1, limits)
  const text = JSON.stringify(value)
  if (text.length > bytesMax || (text.length > bytesMax / 3 && Buffer.byteLength(text) > bytesMax)) {
    throw tooLarge(path, bytesMax)
  }
  return text
}

/**
 * The smallest JSON of an array element (`0,`) and of an object member (`"":0,`): with too many of them, a value is
 * rejected before it is walked.
 */
const elementBytesMin = 2
const memberBytesMin = 5

const tooLarge = (path: string, bytesMax = jsonBytesMax) => invalid(path, `must be at most ${bytesMax} bytes of JSON`)

function checkJson (value: unknown, path: string, depth: number, limits: JsonLimits): void {
  switch (typeof value) {
    case 'string':
      if (value.includes('\0')) throw invalid(path, 'must not contain the NUL character')
      return
    case 'number':
      if (!Number.isFinite(value)) throw invalid(path, 'must be a finite number')
      return
    case 'object':
      if (value === null) return
      if (depth > jsonDepthMax) throw invalid(path, `must be at most ${jsonDepthMax} levels deep`)
      if (Array.isArray(value)) {
        if (value.length * elementBytesMin > (limits.bytesMax ?? jsonBytesMax)) throw tooLarge(path, limits.bytesMax)
        for (let i = 0; i < value.length; i++) checkMember(value[i], path, i, depth, limits)
      } else {
        checkMembers(value as Record<string, unknown>, path, depth, limits)
      }
      return
    case 'boolean':
      return
    default:
      throw invalid(path, 'must be a JSON value')
  }
}

function checkMembers (object: Record<string, unknown>, path: string, depth: number, limits: JsonLimits): void {
  const keys = Object.keys(object)
  if (keys.length * memberBytesMin > (limits.bytesMax ?? jsonBytesMax)) throw tooLarge(path, limits.bytesMax)
  for (const key of keys) {
    if (limits.forbiddenKeys.has(key)) throw invalid(`${path}/${key}`, `must not have the key ${key}`)
    if (key.includes('\0')) throw invalid(path, 'must not have a key with the NUL character')
    checkMember(object[key], path, key, depth, limits)
  }
}

/** Builds the pointer only for values that may be invalid, so that a walk over valid data allocates nothing. */
function checkMember (value: unknown, path: string, key: string | number, depth: number, limits: JsonLimits): void {
  if (typeof value === 'boolean' || value === null) return
  if (typeof value === 'number' && Number.isFinite(value)) return
  if (typeof value === 'string' && !value.includes('\0')) return
  checkJson(value, `${path}/${pointerSegment(key)}`, depth + 1, limits)
}

export const jsonPointer = (path: readonly (string | number)[]): string =>
  path.map(key => `/${pointerSegment(key)}`).join('')

/** RFC 6901 §3. */
const pointerSegment = (key: string | number) =>
  typeof key === 'number' ? String(key) : key.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')

export function invalid (path: string, message: string, whole = 'The body'): ValidationError {
  return new ValidationError('VALIDATION_FAILED', `${path.slice(0, 200) || whole} ${message}`, {
    details: [{ path, message }]
  })
}

export const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
