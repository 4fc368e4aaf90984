import { domainToASCII } from 'node:url'

/** Invisible characters, such as a zero-width space. */
const invisible = /\p{Default_Ignorable_Code_Point}|\p{Cc}/gu

/**
 * Returns the one spelling under which an address is looked up, compared, counted and kept unique: without invisible
 * characters and outer spaces, in compatibility form (NFKC), in lower case, the domain in ASCII and without its root
 * dot. Letters that only resemble others stay different: `ı` is not `i`. PostgreSQL's `lower()` depends on the
 * database's locale, so addresses are never folded there.
 */
export function canonicalEmail (address: string): string {
  const text = address.replaceAll(invisible, '').normalize('NFKC').replaceAll(invisible, '').trim().toLowerCase()
    .normalize('NFC')
  const at = text.lastIndexOf('@')
  if (at === -1) return text
  return `${text.slice(0, at).trim()}@${canonicalDomain(text.slice(at + 1).trim())}`
}

function canonicalDomain (domain: string): string {
  const rooted = isAscii.test(domain) ? domain : domainToASCII(domain) || domain
  return rooted.endsWith('.') ? rooted.slice(0, -1) : rooted
}

const isAscii = /^\p{ASCII}*$/u
