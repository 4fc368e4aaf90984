import {
  complement, digit, lastCodePoint, lineEnd, type Ranges, union, whitespace, wordCharacter
} from './char-ranges.ts'
import { type Pattern, PatternError } from './pattern-syntax.ts'
import { rangesToRe2 } from './re2-syntax.ts'

/** A set of characters: inside of brackets, or an escape that stands for one. */
type Member = Extract<Pattern, { kind: 'chars' | 'property' }>

/** Limits nesting, which could otherwise exhaust the stack. No useful pattern is nested deeper. */
const nestingMax = 100

/** Parses a pattern. Throws PatternError if it is malformed or needs backtracking (look-around, back-references). */
export function parsePattern (source: string): Pattern {
  return new Parser(source).parse()
}

const controlEscapes: ReadonlyMap<string, number> = new Map([
  ['t', 9], ['n', 10], ['v', 11], ['f', 12], ['r', 13], ['0', 0]
])

class Parser {
  readonly #text: string[]
  #at = 0
  #depth = 0

  constructor (source: string) {
    this.#text = Array.from(source)
  }

  parse (): Pattern {
    const pattern = this.#alternatives()
    if (this.#at < this.#text.length) throw new PatternError('it has an unmatched closing parenthesis')
    return pattern
  }

  #alternatives (): Pattern {
    if (++this.#depth > nestingMax) throw new PatternError(`it is nested deeper than ${nestingMax} levels`)
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#depth--
    const [only] = parts
    return only !== undefined && parts.length === 1 ? only : { kind: 'or', parts }
  }

  #sequence (): Pattern {
    const parts: Pattern[] = []
    while (this.#at < this.#text.length && !this.#sees('|') && !this.#sees(')')) parts.push(this.#quantified())
    const [only] = parts
    return only !== undefined && parts.length === 1 ? only : { kind: 'concat', parts }
  }

  #quantified (): Pattern {
    const part = this.#atom()
    const bounds = this.#quantifier()
    if (bounds === undefined) return part
    if (part.kind === 'start' || part.kind === 'end' || part.kind === 'boundary' || part.kind === 'inside') {
      throw new PatternError('it repeats an assertion')
    }
    this.#take('?')
    if (this.#quantifier() !== undefined) throw new PatternError('it has a quantifier after a quantifier')
    return { kind: 'repeat', part, min: bounds[0], max: bounds[1] }
  }

  #quantifier (): [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity]
    if (this.#take('+')) return [1, Infinity]
    if (this.#take('?')) return [0, 1]
    const braces = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 24).join(''))
    if (braces === null) return undefined
    this.#at += braces[0].length
    const min = Number(braces[1])
    const max = braces[2] === undefined ? min : braces[3] === '' ? Infinity : Number(braces[3])
    if (min > max) throw new PatternError('it has a quantifier whose bounds are out of order')
    return [min, max]
  }

  #atom (): Pattern {
    const char = this.#next('it ends too early')
    switch (char) {
      case '^': return { kind: 'start' }
      case '$': return { kind: 'end' }
      case '.': return { kind: 'chars', ranges: complement(lineEnd) }
      case '[': return this.#class()
      case '(': return this.#group()
      case '\\': return this.#escape()
      case '*': case '+': case '?': throw new PatternError(`it has nothing before "${char}" to repeat`)
      default: return one(codeOf(char))
    }
  }

  #group (): Pattern {
    if (this.#take('?')) {
      if (this.#sees('=') || this.#sees('!')) throw new PatternError('look-ahead cannot be matched in linear time')
      if (this.#take('<')) {
        if (this.#sees('=') || this.#sees('!')) throw new PatternError('look-behind cannot be matched in linear time')
        while (this.#at < this.#text.length && !this.#take('>')) this.#at++
      } else if (!this.#take(':')) throw new PatternError('it has an unknown kind of group')
    }
    const inner = this.#alternatives()
    if (!this.#take(')')) throw new PatternError('it has a group that is not closed')
    return inner
  }

  #escape (): Pattern {
    if (this.#take('b')) return { kind: 'boundary' }
    if (this.#take('B')) return { kind: 'inside' }
    if (/[1-9k]/.test(this.#text[this.#at] ?? '')) {
      throw new PatternError('back-references cannot be matched in linear time')
    }
    return this.#classEscape()
  }

  /** Reads an escape of a set of characters, inside or outside of brackets. */
  #classEscape (): Member {
    const char = this.#next('it ends in a backslash')
    switch (char) {
      case 'd': return { kind: 'chars', ranges: digit }
      case 'D': return { kind: 'chars', ranges: complement(digit) }
      case 'w': return { kind: 'chars', ranges: wordCharacter }
      case 'W': return { kind: 'chars', ranges: complement(wordCharacter) }
      case 's': return { kind: 'chars', ranges: whitespace }
      case 'S': return { kind: 'chars', ranges: complement(whitespace) }
      case 'p': case 'P': return { kind: 'property', re2: this.#property(char) }
      case 'x': return one(this.#hex(2))
      case 'u': return one(this.#unicode())
      case 'c': return one(codeOf(this.#next('it has "\\c" without a letter')) % 32)
    }
    const control = controlEscapes.get(char)
    if (control !== undefined) return one(control)
    if (/[A-Za-z0-9]/.test(char)) throw new PatternError(`"\\${char}" is not an escape`)
    return one(codeOf(char))
  }

  #property (letter: string): string {
    const [whole, name] =
      /^\{(?:(?:General_Category|gc|Script|sc)=)?([A-Za-z_]+)\}/.exec(
        this.#text.slice(this.#at, this.#at + 64).join('')
      ) ?? []
    if (whole === undefined || name === undefined) {
      throw new PatternError(`"\\${letter}" must be followed by a property in braces`)
    }
    this.#at += whole.length
    return `\\${letter}{${shortPropertyNames[name] ?? name}}`
  }

  #unicode (): number {
    if (this.#take('{')) {
      const end = this.#text.indexOf('}', this.#at)
      const code = parseInt(this.#text.slice(this.#at, end).join(''), 16)
      if (end < 0 || !(code <= lastCodePoint)) throw new PatternError('it has a code point that does not exist')
      this.#at = end + 1
      return code
    }
    const high = this.#hex(4)
    const [, low] = /^\\u(d[c-f][0-9a-f]{2})/i.exec(this.#text.slice(this.#at, this.#at + 6).join('')) ?? []
    if (high < 0xd800 || high > 0xdbff || low === undefined) return high
    this.#at += 6
    return (high - 0xd800) * 0x400 + parseInt(low, 16) - 0xdc00 + 0x10000
  }

  #hex (digits: number): number {
    const text = this.#text.slice(this.#at, this.#at + digits).join('')
    if (text.length < digits || !/^[0-9a-f]+$/i.test(text)) {
      throw new PatternError('it has an incomplete hexadecimal escape')
    }
    this.#at += digits
    return parseInt(text, 16)
  }

  #class (): Pattern {
    const negated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    const properties: string[] = []
    while (!this.#take(']')) {
      if (this.#at >= this.#text.length) throw new PatternError('it has a bracket that is not closed')
      const from = this.#classMember()
      if (from.kind === 'property') { properties.push(from.re2); continue }
      if (!this.#sees('-') || this.#text[this.#at + 1] === ']') { ranges.push(...from.ranges); continue }
      this.#at++
      const to = this.#classMember()
      ranges.push(spanOf(from, to))
    }
    if (properties.length > 0) {
      return { kind: 'property', re2: `[${negated ? '^' : ''}${properties.join('')}${rangesToRe2(union(ranges))}]` }
    }
    return { kind: 'chars', ranges: negated ? complement(ranges) : union(ranges) }
  }

  #classMember (): Member {
    if (!this.#take('\\')) return one(codeOf(this.#next('it has a bracket that is not closed')))
    if (this.#take('b')) return one(8)
    return this.#classEscape()
  }

  /** Returns the next character and moves past it. Throws PatternError with the reason at the end of the pattern. */
  #next (reason: string): string {
    const char = this.#text[this.#at++]
    if (char === undefined) throw new PatternError(reason)
    return char
  }

  #sees (char: string): boolean {
    return this.#text[this.#at] === char
  }

  #take (char: string): boolean {
    if (!this.#sees(char)) return false
    this.#at++
    return true
  }
}

function codeOf (char: string): number {
  return char.codePointAt(0) ?? 0
}

function one (code: number): { kind: 'chars', ranges: Ranges } {
  return { kind: 'chars', ranges: [[code, code]] }
}

function spanOf (from: Member, to: Member): readonly [number, number] {
  const first = from.kind === 'chars' && from.ranges.length === 1 ? from.ranges[0] : undefined
  const last = to.kind === 'chars' && to.ranges.length === 1 ? to.ranges[0] : undefined
  if (first === undefined || last === undefined || first[0] !== first[1] || last[0] !== last[1] || first[0] > last[0]) {
    throw new PatternError('it has a range of characters that is out of order')
  }
  return [first[0], last[0]]
}

const shortPropertyNames: Record<string, string> = {
  Letter: 'L',
  Uppercase_Letter: 'Lu',
  Lowercase_Letter: 'Ll',
  Titlecase_Letter: 'Lt',
  Modifier_Letter: 'Lm',
  Other_Letter: 'Lo',
  Mark: 'M',
  Number: 'N',
  Decimal_Number: 'Nd',
  digit: 'Nd',
  Letter_Number: 'Nl',
  Punctuation: 'P',
  Symbol: 'S',
  Separator: 'Z',
  Space_Separator: 'Zs',
  Other: 'C',
  Control: 'Cc'
}
