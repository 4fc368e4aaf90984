import { type AST, RegExpParser, RegExpSyntaxError } from '@eslint-community/regexpp'
import {
  complement, digit, lineEnd, type Ranges, union, whitespace, wordCharacter
} from './char-ranges.ts'
import { malformed } from './malformed.ts'
import { type Pattern, PatternError } from './pattern-syntax.ts'
import { rangesToRe2 } from './re2-syntax.ts'
import { strictSource } from './strict-source.ts'

/** A set of characters: inside of brackets, or an escape that stands for one. */
type Member = Extract<Pattern, { kind: 'chars' | 'property' }>

/** Limits nesting, which could otherwise exhaust the stack. No useful pattern is nested deeper. */
const nestingMax = 100

const parser = new RegExpParser({ ecmaVersion: 2024 })

/** Parses a pattern. Throws PatternError if it is malformed or needs backtracking (look-around, back-references). */
export function parsePattern (source: string): Pattern {
  return alternativesOf(parse(source).alternatives, 1)
}

function parse (source: string): AST.Pattern {
  const strict = strictSource(source)
  try {
    return parser.parsePattern(strict, undefined, undefined, { unicode: true })
  } catch (error) {
    if (error instanceof RegExpSyntaxError) throw malformed(error, strict)
    if (error instanceof RangeError) throw tooDeep()
    throw error
  }
}

const tooDeep = (): PatternError => new PatternError(`it is nested deeper than ${nestingMax} levels`)

function alternativesOf (alternatives: readonly AST.Alternative[], depth: number): Pattern {
  if (depth > nestingMax) throw tooDeep()
  const sequences = alternatives.map(({ elements }) => elements.map(part => patternOf(part, depth)))
  return joined('or', sequences.map(parts => joined('concat', parts)))
}

function joined (kind: 'or' | 'concat', parts: Pattern[]): Pattern {
  const [only] = parts
  return only !== undefined && parts.length === 1 ? only : { kind, parts }
}

function patternOf (part: AST.Element, depth: number): Pattern {
  switch (part.type) {
    case 'Assertion': return assertionOf(part)
    case 'Backreference': throw new PatternError('back-references cannot be matched in linear time')
    case 'CapturingGroup': return alternativesOf(part.alternatives, depth + 1)
    case 'Group': return alternativesOf(part.alternatives, depth + 1)
    case 'Quantifier': return { kind: 'repeat', part: patternOf(part.element, depth), min: part.min, max: part.max }
    case 'Character': return one(part.value)
    case 'CharacterSet': return setOf(part)
    case 'CharacterClass': return classOf(part)
    case 'ExpressionCharacterClass': throw new PatternError('it has a set operation')
  }
}

function assertionOf (assertion: AST.Assertion): Pattern {
  switch (assertion.kind) {
    case 'start': case 'end': return { kind: assertion.kind }
    case 'word': return { kind: assertion.negate ? 'inside' : 'boundary' }
    case 'lookahead': throw new PatternError('look-ahead cannot be matched in linear time')
    case 'lookbehind': throw new PatternError('look-behind cannot be matched in linear time')
  }
}

const sets: Record<'any' | 'digit' | 'space' | 'word', Ranges> = {
  any: complement(lineEnd), digit, space: whitespace, word: wordCharacter
}

function setOf (set: AST.CharacterSet): Member {
  if (set.kind === 'property') return propertyOf(set)
  const isNegated = set.kind !== 'any' && set.negate
  return { kind: 'chars', ranges: isNegated ? complement(sets[set.kind]) : sets[set.kind] }
}

function propertyOf ({ key, value, negate, raw }: AST.UnicodePropertyCharacterSet): Member {
  if (key === 'Script_Extensions' || key === 'scx') {
    throw new PatternError(`the linear-time engine does not support "${raw}"`)
  }
  const name = value ?? key
  return { kind: 'property', re2: `\\${negate ? 'P' : 'p'}{${shortPropertyNames[name] ?? name}}` }
}

function classOf ({ elements, negate }: AST.CharacterClass): Member {
  const members = elements.map(memberOf)
  const ranges = members.flatMap(member => member.kind === 'chars' ? member.ranges : [])
  const properties = members.map(member => member.kind === 'property' ? member.re2 : '').join('')
  if (properties === '') return { kind: 'chars', ranges: negate ? complement(ranges) : union(ranges) }
  return { kind: 'property', re2: `[${negate ? '^' : ''}${properties}${rangesToRe2(union(ranges))}]` }
}

function memberOf (member: AST.CharacterClassElement): Member {
  switch (member.type) {
    case 'Character': return one(member.value)
    case 'CharacterClassRange': return { kind: 'chars', ranges: [[member.min.value, member.max.value]] }
    case 'CharacterSet': return setOf(member)
    default: throw new PatternError('it has a set operation')
  }
}

function one (code: number): Member {
  return { kind: 'chars', ranges: [[code, code]] }
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
