const textType = 25
const jsonType = 114

/**
 * Returns PostgreSQL's binary form of a one-dimensional array. In the text form, `pg` would quote and escape every
 * element and the server would undo it, which for JSON is most of the cost of a bulk insert. Layout: dimensions,
 * has-nulls flag, element type, then per dimension length and lower bound, then each element with its length
 * (array_recv in src/backend/utils/adt/arrayfuncs.c).
 */
function encodeArray (elementType: number, values: readonly (string | null | undefined)[]): Buffer {
  let bytes = 20 + 4 * values.length
  const lengths = new Array<number>(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    const length = value === null || value === undefined ? -1 : Buffer.byteLength(value)
    lengths[i] = length
    if (length > 0) bytes += length
  }
  const buffer = Buffer.allocUnsafe(bytes)
  buffer.writeInt32BE(values.length === 0 ? 0 : 1, 0)
  buffer.writeInt32BE(1, 4)
  buffer.writeInt32BE(elementType, 8)
  if (values.length === 0) return buffer.subarray(0, 12)
  buffer.writeInt32BE(values.length, 12)
  buffer.writeInt32BE(1, 16)
  let at = 20
  for (let i = 0; i < values.length; i++) {
    const length = lengths[i] as number
    at = buffer.writeInt32BE(length, at)
    if (length > 0) at += buffer.write(values[i] as string, at)
  }
  return buffer
}

export const textArray = (values: readonly (string | null | undefined)[]) => encodeArray(textType, values)
/** For parameters that are cast to `json[]`; each element is a JSON text. */
export const jsonArray = (values: readonly (string | null | undefined)[]) => encodeArray(jsonType, values)

/** Returns the text of an array of integers, for parameters that are cast to `int[]` or `bigint[]`. */
export const intArray = (values: readonly (number | null)[]): string =>
  `{${values.map(value => value ?? 'null').join()}}`
