import { anyCharacter, type Ranges } from './char-ranges.ts'
import type { Pattern } from './pattern-syntax.ts'

export function rangesToRe2 (ranges: Ranges): string {
  return ranges.map(([first, last]) => `\\x{${first.toString(16)}}-\\x{${last.toString(16)}}`).join('')
}

/** Returns the expression in RE2's syntax, with every class expanded. */
export function toRe2 (pattern: Pattern): string {
  switch (pattern.kind) {
    case 'chars':
      return pattern.ranges.length === 0 ? `[^${rangesToRe2(anyCharacter)}]` : `[${rangesToRe2(pattern.ranges)}]`
    case 'property': return pattern.re2
    case 'start': return '\\A'
    case 'end': return '\\z'
    case 'boundary': return '\\b'
    case 'inside': return '\\B'
    case 'concat': return pattern.parts.map(part => part.kind === 'or' ? `(?:${toRe2(part)})` : toRe2(part)).join('')
    case 'or': return `(?:${pattern.parts.map(toRe2).join('|')})`
    case 'repeat': return `(?:${toRe2(pattern.part)}){${pattern.min},${pattern.max === Infinity ? '' : pattern.max}}`
  }
}
