const scheme = /^(?:https?|ftp):\/\//iu
const whitespace = /\s/u
const labelCharacters = /^[a-z0-9\u{a1}-\u{ffff}-]+$/iu
const topLevel = /^[a-z\u{a1}-\u{ffff}]{2,}$/iu
/** The first part of an address that is neither private nor reserved because of this part alone. */
const addressHead = /^(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])$/
const addressMiddle = /^(?:1?\d{1,2}|2[0-4]\d|25[0-5])$/
const addressEnd = /^(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])$/

/**
 * Returns whether the text is a URL. Accepts the same texts as the expression of ajv-formats
 * (https://gist.github.com/dperini/729294), but in linear time: that expression tries every `@` and `:` as the end of
 * the user, and reads to the end of the text for each.
 */
export function isUrl (text: string): boolean {
  const [head] = scheme.exec(text) ?? []
  if (head === undefined) return false
  const rest = text.slice(head.length)
  // The user ends at an `@`. There is no whitespace before it or in the path.
  const firstSpace = rest.search(whitespace)
  const lastSpace = lastWhitespace(rest)
  for (let start = 0; ;) {
    if (isHostAndPath(rest, start, lastSpace)) return true
    const at = rest.indexOf('@', start === 0 ? 1 : start)
    if (at === -1 || (firstSpace !== -1 && firstSpace < at)) return false
    start = at + 1
  }
}

function lastWhitespace (text: string): number {
  let at = text.length - 1
  while (at >= 0 && !whitespace.test(text.charAt(at))) at--
  return at
}

/** Returns whether a host and path follow. Reads up to the next `@`, so that all calls together read the text once. */
function isHostAndPath (text: string, start: number, lastSpace: number): boolean {
  const [, host = '', port] = hostAndPort(text, start)
  const end = start + host.length + (port === undefined ? 0 : port.length + 1)
  if (end < text.length && (text[end] !== '/' || lastSpace > end)) return false
  return isAddress(host) || isName(host)
}

const hostAndPortForm = /([^:/@]*)(?::(\d{2,5})(?=\/|$))?/uy

function hostAndPort (text: string, start: number): RegExpExecArray | [] {
  hostAndPortForm.lastIndex = start
  return hostAndPortForm.exec(text) ?? []
}

function isAddress (host: string): boolean {
  const parts = host.split('.', 5)
  const [a = '', b = '', c = '', d = ''] = parts
  if (
    parts.length !== 4 || !addressHead.test(a) || !addressMiddle.test(b) || !addressMiddle.test(c) ||
    !addressEnd.test(d)
  ) return false
  if (a === '10' || a === '127') return false
  if ((a === '169' && b === '254') || (a === '192' && b === '168')) return false
  return !(a === '172' && /^(?:1[6-9]|2\d|3[01])$/.test(b))
}

function isName (host: string): boolean {
  const labels = host.split('.')
  return labels.length > 1 && topLevel.test(labels.at(-1) ?? '') && labels.every(isLabel)
}

const isLabel = (label: string): boolean =>
  labelCharacters.test(label) && !label.startsWith('-') && !label.endsWith('-') && !label.includes('--')
