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
  const issue = findIssue(value, 1, limits)
  if (issue !== undefined) throw invalid(path + issue.path, issue.message)
  const text = JSON.stringify(value)
  if (text.length > bytesMax || (text.length > bytesMax / 3 && Buffer.byteLength(text) > bytesMax)) {
    throw invalid(path, tooLarge(bytesMax))
  }
  return text
}

/**
 * The smallest JSON of an array element (`0,`) and of an object member (`"":0,`): with too many of them, a value is
 * rejected before it is walked.
 */
const elementBytesMin = 2
const memberBytesMin = 5

const tooLarge = (bytesMax = jsonBytesMax) => `must be at most ${bytesMax} bytes of JSON`

/** Why a value is refused, and the JSON Pointer of the value at fault. */
interface Issue { path: string, message: string }

const issueHere = (message: string): Issue => ({ path: '', message })

/** Returns the first issue. Its path is built on the way back, so that a walk over valid data allocates nothing. */
function findIssue (value: unknown, depth: number, limits: JsonLimits): Issue | undefined {
  switch (typeof value) {
    case 'string':
      return value.includes('\0') ? issueHere('must not contain the NUL character') : undefined
    case 'number':
      return Number.isFinite(value) ? undefined : issueHere('must be a finite number')
    case 'object':
      if (value === null) return undefined
      if (depth > jsonDepthMax) return issueHere(`must be at most ${jsonDepthMax} levels deep`)
      return Array.isArray(value)
        ? issueOfElements(value, depth, limits)
        : issueOfMembers(value as Record<string, unknown>, depth, limits)
    case 'boolean':
      return undefined
    default:
      return issueHere('must be a JSON value')
  }
}

function issueOfElements (array: unknown[], depth: number, limits: JsonLimits): Issue | undefined {
  if (array.length * elementBytesMin > (limits.bytesMax ?? jsonBytesMax)) return issueHere(tooLarge(limits.bytesMax))
  for (let i = 0; i < array.length; i++) {
    const issue = findIssue(array[i], depth + 1, limits)
    if (issue !== undefined) return within(i, issue)
  }
  return undefined
}

function issueOfMembers (object: Record<string, unknown>, depth: number, limits: JsonLimits): Issue | undefined {
  const keys = Object.keys(object)
  if (keys.length * memberBytesMin > (limits.bytesMax ?? jsonBytesMax)) return issueHere(tooLarge(limits.bytesMax))
  for (const key of keys) {
    if (limits.forbiddenKeys.has(key)) return { path: `/${key}`, message: `must not have the key ${key}` }
    if (key.includes('\0')) return issueHere('must not have a key with the NUL character')
    const issue = findIssue(object[key], depth + 1, limits)
    if (issue !== undefined) return within(key, issue)
  }
  return undefined
}

const within = (key: string | number, { path, message }: Issue): Issue => ({
  path: `/${pointerSegment(key)}${path}`, message
})

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
