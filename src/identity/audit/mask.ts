/** Names whose values are nobody's business, wherever they stand. */
const secretName = /secret|password|passphrase|token|credential|hash|sealed|private|connectionstring|seed|recoverycode/i
/**
 * What a URL carries of a login. Neither this nor the next looks at a character often: texts are long, and a tenant's.
 */
const urlLogin = /:\/\/[^\s/?#]*@/g
/** A parameter of a URL. */
const parameter = /([?&#])([^?&#=\s]{1,100})=[^?&#\s]*/g
const secretParameter = /secret|password|passphrase|token|credential|key|sig|auth|code/i
const textLengthMax = 2000
/** A change that is larger is a document of its own, which has a place of its own. */
const bytesMax = 16 * 1024
export const masked = '***'

/** A copy of what is to be kept, without its secrets and not without bounds. */
export function mask (value: Record<string, unknown>): Record<string, unknown> {
  const copy = masks(value) as Record<string, unknown>
  const bytes = Buffer.byteLength(JSON.stringify(copy))
  return bytes > bytesMax ? { truncated: true, bytes } : copy
}

function masks (value: unknown): unknown {
  if (typeof value === 'string') return storable(withoutLogins(value).slice(0, textLengthMax))
  if (Array.isArray(value)) return value.map(masks)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map((
      [name, part]
    ) => [storable(name), secretName.test(name) && part !== null && typeof part !== 'boolean' ? masked : masks(part)])
  )
}

const withoutLogins = (text: string): string =>
  text.replaceAll(urlLogin, `://${masked}@`)
    .replaceAll(parameter, (whole, before: string, name: string) =>
      secretParameter.test(name) ? `${before}${name}=${masked}` : whole)

/** PostgreSQL's jsonb refuses NUL and half surrogates. */
const storable = (text: string): string => text.replaceAll('\0', '').replaceAll(/\p{Surrogate}/gu, '\ufffd')
