import { invalid } from '../foundation/json.ts'

/** RFC 9110 §8.8.3: any characters but quotes and controls between quotes, perhaps marked as weak. */
const tag = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"'
const tagList = new RegExp(`^\\s*${tag}(?:\\s*,\\s*${tag})*\\s*$`)
const tags = new RegExp(tag, 'g')

/** The entity tag of a document: revisions of one id never repeat, so the revision alone does. */
export const etagOf = (revision: number): string => `"${revision}"`

/**
 * Whether an `If-Match` holds: by strong comparison, so that a weak tag never does. Throws ValidationError when it is
 * malformed.
 */
export function isMatch (ifMatch: string, revision: number): boolean {
  if (ifMatch.trim() === '*') return true
  if (!tagList.test(ifMatch)) throw invalid('/if-match', 'must be * or a list of entity tags in quotes')
  return ifMatch.match(tags)?.includes(etagOf(revision)) ?? false
}

/** Whether an `If-None-Match` names the revision: by weak comparison. A malformed one matches nothing. */
export function isNoneMatch (ifNoneMatch: string, revision: number): boolean {
  if (ifNoneMatch.trim() === '*') return true
  if (!tagList.test(ifNoneMatch)) return false
  const etag = etagOf(revision)
  return ifNoneMatch.match(tags)?.some(candidate => candidate === etag || candidate === `W/${etag}`) ?? false
}
