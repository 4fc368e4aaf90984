/**
 * Why a change can neither be shown compatible nor be refuted by a document. Each is a limit of the checker that is
 * known and named; there is no other.
 */
export const REASONS = {
  entangled: 'the demands on a value depend on each other in more ways than the checker follows',
  format: 'what a format accepts is known to the validator but not to the checker, and no sample settled it',
  pattern:
    'a pattern uses an assertion or a character property in a place that the checker does not follow, or its ' +
      'automaton is too large',
  content:
    'contentEncoding, contentMediaType and contentSchema are not checked by the validator, so that old content is ' +
      'new content cannot be shown',
  unevaluated: 'what counts as unevaluated depends on more combinations of branches than are tried',
  numbers: 'the numbers that are left between bounds, multiples and exceptions are too many to be tried',
  cardinality: 'how many different items or properties there can be is not counted that far',
  unconfirmed: 'the document that was found is judged otherwise by the validator'
} as const

export type Reason = keyof typeof REASONS
