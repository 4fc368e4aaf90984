import { invalid } from '../foundation/json.ts'

/** RFC 9110 §8.8.3: any characters except quotes and controls, in quotes, optionally marked as weak. */
const tag = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"'
const tagList = new RegExp(`^\\s*${tag}(?:\\s*,\\s*${tag})*\\s*$`)
const tags = new RegExp(tag, 'g')

/** Returns the entity tag of a document. The revision is sufficient, since revisions of one id never repeat. */
export const etagOf = (revision: number): string => `"${revision}"`

/**
 * Returns whether an `If-Match` header matches the revision, by strong comparison: a weak tag never matches. Throws
 * ValidationError if the header is malformed.
 */
export function isMatch (ifMatch: string, revision: number): boolean {
  if (ifMatch.trim() === '*') return true
  if (!tagList.test(ifMatch)) throw invalid('/if-match', 'must be * or a list of entity tags in quotes')
  return ifMatch.match(tags)?.includes(etagOf(revision)) ?? false
}

/**
 * Returns whether an `If-None-Match` header matches the revision, by weak comparison. A malformed one never matches.
 */
export function isNoneMatch (ifNoneMatch: string, revision: number): boolean {
  if (ifNoneMatch.trim() === '*') return true
  if (!tagList.test(ifNoneMatch)) return false
  const etag = etagOf(revision)
  return ifNoneMatch.match(tags)?.some(candidate => candidate === etag || candidate === `W/${etag}`) ?? false
}
