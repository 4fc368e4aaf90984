/** A set of code points: ascending `[first, last]` pairs that neither overlap nor adjoin. */
export type Ranges = readonly (readonly [number, number])[]

export const lastCodePoint = 0x10ffff
export const anyCharacter: Ranges = [[0, lastCodePoint]]
export const digit: Ranges = [[48, 57]]
export const wordCharacter: Ranges = [[48, 57], [65, 90], [95, 95], [97, 122]]
/** The white space and line ends of ECMAScript's `\s`. */
export const whitespace: Ranges = [
  [9, 13], [32, 32], [160, 160], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f],
  [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]
]
/** The characters that `.` does not match. */
export const lineEnd: Ranges = [[10, 10], [13, 13], [0x2028, 0x2029]]

export function union (ranges: Ranges): Ranges {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0])
  const merged: [number, number][] = []
  for (const [first, last] of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else merged.push([first, last])
  }
  return merged
}

export function complement (ranges: Ranges): Ranges {
  const result: [number, number][] = []
  let next = 0
  for (const [first, last] of union(ranges)) {
    if (first > next) result.push([next, first - 1])
    next = last + 1
  }
  if (next <= lastCodePoint) result.push([next, lastCodePoint])
  return result
}

export function contains (ranges: Ranges, code: number): boolean {
  return ranges.some(([first, last]) => code >= first && code <= last)
}
