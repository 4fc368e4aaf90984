/**
 * The reasons why a change can neither be proved compatible nor refuted by a document. Each is a known limit of the
 * checker; there are no others.
 */
export const reasons = {
  entangled: 'the keywords for a value depend on each other in more ways than the checker tries',
  format: 'only the validator can test the format, and no sample decided the question',
  pattern:
    'a pattern uses an assertion or a character property at a place that the checker does not support, or its ' +
      'automaton is too large',
  content:
    'the validator does not check contentEncoding, contentMediaType and contentSchema, so the checker cannot prove ' +
      'that content stays valid',
  unevaluated: 'the unevaluated members depend on more combinations of branches than the checker tries',
  numbers: 'more numbers are left between bounds, multiples and exceptions than the checker tries',
  cardinality: 'more distinct items or properties are possible than the checker counts',
  unconfirmed: 'the validator does not confirm the document that the checker found'
} as const

export type Reason = keyof typeof reasons
