/** The keyword in a slice that calls slice number n. */
export const sliceKeyword = 'x-slice'
/** The keyword that requires exactly one of the listed slices. */
export const oneOfSlicesKeyword = 'x-one-of-slices'
/**
 * The keywords for `additionalProperties` beside many patterns: its schema, and the names and patterns of the
 * properties that are not additional.
 */
export const othersKeyword = 'x-others'
export const knownKeyword = 'x-known'
/** The keywords for a part of `prefixItems`: its schemas, and the position of the first. */
export const tupleKeyword = 'x-tuple'
export const tupleStartKeyword = 'x-tuple-start'
