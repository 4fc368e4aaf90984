import { fullFormats } from 'ajv-formats/dist/formats.js'

const atoms = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/i
const quoted = /^"(?:[ !#-[\]-~]|\\[ -~])*"$/
const label = /^[a-z0-9-]+$/i
const ipv4 = fullFormats.ipv4 as RegExp
const ipv6 = fullFormats.ipv6 as RegExp

/**
 * Returns whether the text is a mailbox of RFC 5321 §4.1.2, as JSON Schema requires. Unlike the expression of
 * ajv-formats, it accepts a quoted local part and an address literal as the domain. Reads the text once.
 */
export function isEmail (text: string): boolean {
  const at = text.lastIndexOf('@')
  if (at === -1) return false
  const local = text.slice(0, at)
  const domain = text.slice(at + 1)
  return (local.startsWith('"') ? quoted : atoms).test(local) && (isLiteral(domain) || domain.split('.').every(isLabel))
}

const isLabel = (text: string): boolean => label.test(text) && !text.startsWith('-') && !text.endsWith('-')

function isLiteral (domain: string): boolean {
  if (!domain.startsWith('[') || !domain.endsWith(']')) return false
  const address = domain.slice(1, -1)
  return /^ipv6:/i.test(address) ? ipv6.test(address.slice(5)) : ipv4.test(address)
}
