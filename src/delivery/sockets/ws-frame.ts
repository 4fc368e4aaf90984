import type { RawData } from 'ws'
import { ValidationError } from '../../errors.ts'
import { isPlainObject, parseJson } from '../../foundation/json.ts'
import { fieldsMax } from './protocol.ts'

/** A request of a plain WebSocket client: one JSON object per text frame. */
export interface Frame { type: string, id: string | number | undefined, fields: Record<string, unknown> }

/** Throws ValidationError `INVALID_UTF8`, `INVALID_JSON` or `FRAME_INVALID`. */
export function toFrame (data: RawData, isBinary: boolean): { frame: Frame, text: string } {
  if (isBinary) throw new ValidationError('FRAME_INVALID', 'Binary frames are not supported. Send JSON in a text frame')
  const { value: frame, text } = parseJson(data as Buffer, 'The frame')
  if (!isPlainObject(frame)) throw new ValidationError('FRAME_INVALID', 'A frame must be a JSON object')
  if (typeof frame['type'] !== 'string') {
    throw new ValidationError('FRAME_INVALID', 'The type of a frame must be a string')
  }
  const id = requireId(frame['id'], text)
  // Too many fields are refused later. Copying them first would be wasted.
  if (Object.keys(frame).length > fieldsMax) return { frame: { type: frame['type'], id, fields: frame }, text }
  const { type, id: _, ...fields } = frame
  return { frame: { type: frame['type'], id, fields }, text }
}

/** A refused frame up to this length is parsed for its id. Only the beginning of a longer one is searched. */
const refusedBytesParsedMax = 1024
/** Matches the id where most clients put it: at the beginning, or after the type. */
const idAtStart = /^\{\s*(?:"type"\s*:\s*"\w{1,50}"\s*,\s*)?"id"\s*:\s*(\d{1,15}|"[^"\\]{0,100}")\s*[,}]/

/**
 * Finds the id of a refused frame, so that the client can assign the refusal to its request. Avoids most of the parsing
 * that the refusal is meant to save.
 */
export function idOfRefused (data: Buffer): unknown {
  try {
    if (data.length <= refusedBytesParsedMax) return toFrame(data, false).frame.id
    const [, id] = idAtStart.exec(data.toString('utf8', 0, refusedBytesParsedMax)) ?? []
    return id === undefined ? undefined : JSON.parse(id) as unknown
  } catch {
    return undefined
  }
}

const idLengthMax = 128
/**
 * Matches an id that is an integer in the form in which the answer repeats it: not `1.0`, and not with more digits than
 * a double can hold.
 */
const integerId = /"id"\s*:\s*-?(?:0|[1-9]\d*)\s*[,}]/

/** Returns the id, which the answer repeats exactly. Throws ValidationError `FRAME_INVALID` for any other id. */
function requireId (id: unknown, text: string): string | number | undefined {
  if (id === undefined || id === null) return undefined
  if (typeof id === 'string' && id.length <= idLengthMax) return id
  if (Number.isSafeInteger(id) && !Object.is(id, -0) && integerId.test(text)) return id as number
  throw new ValidationError(
    'FRAME_INVALID',
    `An id must be a string of at most ${idLengthMax} characters or an integer ` +
      `between -${Number.MAX_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}`
  )
}
