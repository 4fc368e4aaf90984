import type { RegExpSyntaxError } from '@eslint-community/regexpp'
import { PatternError } from './pattern-syntax.ts'

/** The messages of the parser, as clauses about the pattern. */
const clauses: Record<string, string> = {
  'Unterminated group': 'it has a group that is not closed',
  "Unmatched ')'": 'it has an unmatched closing parenthesis',
  'Unterminated character class': 'it has a bracket that is not closed',
  'Nothing to repeat': 'it has a quantifier with nothing before it to repeat',
  'numbers out of order in {} quantifier': 'it has a quantifier whose bounds are out of order',
  'Range out of order in character class': 'it has a range of characters that is out of order',
  'Invalid character class': 'it has a range that ends in a set of characters',
  'Invalid group': 'it has an unknown kind of group',
  'Invalid property name': 'it has an unknown character property',
  'Invalid unicode escape': 'it has an incomplete hexadecimal escape',
  'Invalid named reference': 'it has a reference to a group that does not exist',
  'Invalid capture group name': 'it has a group with an invalid name',
  'Duplicate capture group name': 'it has two groups of the same name'
}

/** Returns the reason for which a source could not be parsed. */
export function malformed ({ message, index }: RegExpSyntaxError, source: string): PatternError {
  const reason = message.slice(message.lastIndexOf(': ') + 2)
  if (reason !== 'Invalid escape') return new PatternError(clauses[reason] ?? 'it is not a regular expression')
  if (index === source.length) return new PatternError('it ends in a backslash')
  return new PatternError(source[index] === 'c' ? 'it has "\\c" without a letter' : 'it has an unknown escape')
}
