import { Observed } from '../app/observed.ts'

/*
 * Mailed links and the identity provider hand over tokens behind the `#` of a URL. They are secrets: the page takes
 * them out of the address bar and the history before anything else runs.
 */

const pages = new Set(['/login', '/accept-invite', '/reset-password'])

/** The values that have arrived and were not used yet, or null. */
export const fragment = new Observed<URLSearchParams | null>(take())

addEventListener('hashchange', () => {
  const taken = take()
  if (taken !== null) fragment.set(taken)
})

function take (): URLSearchParams | null {
  const { pathname, search, hash } = location
  if (!pages.has(pathname) || hash.length < 2) return null
  history.replaceState(history.state, '', pathname + search)
  return new URLSearchParams(hash.slice(1))
}
