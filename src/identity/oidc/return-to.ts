import { ValidationError } from '../../errors.ts'

/** A page of a console. */
export interface ReturnTarget {
  /** The origin of another console; undefined for that of this server. */
  origin: string | undefined
  /** Path, query and fragment. */
  path: string
}

/** Printable ASCII without the backslash: browsers ignore some other characters, and read a backslash as a slash. */
const plain = /^[!-[\]-~]*$/
/** An encoded slash, backslash or dot at the beginning, which a proxy may decode. */
const encodedStart = /^\/(?:%2f|%5c|%2e|%0|%25)/i

/**
 * Reads where to go after a sign-in: a path of this server, or a URL of one of the other origins. Throws
 * ValidationError for anything else, so that no link to this server leads to a foreign page.
 */
export function readReturnTo (text: string | undefined, otherOrigins: readonly string[]): ReturnTarget {
  if (text === undefined) return { origin: undefined, path: '/' }
  if (!plain.test(text)) throw refused()
  const origin = otherOrigins.find(one => text === one || text.startsWith(`${one}/`))
  const path = origin === undefined ? text : text.slice(origin.length) || '/'
  if (!path.startsWith('/') || path.startsWith('//') || encodedStart.test(path)) throw refused()
  const url = URL.canParse(path, base) ? new URL(path, base) : undefined
  // Dots in the path may lead to `//`, which names a host.
  if (url === undefined || url.origin !== base || url.pathname.startsWith('//')) throw refused()
  return { origin, path }
}

const base = 'http://console.invalid'

const refused = () => {
  const message = 'must be a path of this server, or a URL of an origin in CORS_ORIGINS'
  return new ValidationError('VALIDATION_FAILED', `The query /returnTo ${message}`, {
    details: [{ path: '/returnTo', message }]
  })
}
