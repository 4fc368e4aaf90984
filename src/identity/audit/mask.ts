/** Values of members with such names are secret, at any depth. */
const secretName = /secret|password|passphrase|token|credential|hash|sealed|private|connectionstring|seed|recoverycode/i
/**
 * The credentials in a URL. This expression and the next must run in linear time, because tenants can send long texts.
 */
const urlLogin = /:\/\/[^\s/?#]*@/g
/** A parameter of a URL. */
const parameter = /([?&#])([^?&#=\s]{1,100})=[^?&#\s]*/g
const secretParameter = /secret|password|passphrase|token|credential|key|sig|auth|code/i
const textLengthMax = 2000
/** An API key, or more of one than the eight letters that identify it. */
const apiKey = /rtk_[0-9A-Za-z]{9,}/g
/** A larger state is replaced by its size. It is stored elsewhere. */
const bytesMax = 16 * 1024
export const masked = '***'

/** Returns a copy without secrets and of limited size. */
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

/** Masks the API keys in a text. */
export const withoutApiKeys = (text: string): string => text.replaceAll(apiKey, `rtk_${masked}`)

const withoutLogins = (text: string): string =>
  withoutApiKeys(text).replaceAll(urlLogin, `://${masked}@`)
    .replaceAll(parameter, (whole, before: string, name: string) =>
      secretParameter.test(name) ? `${before}${name}=${masked}` : whole)

/** PostgreSQL's jsonb rejects NUL and unpaired surrogates. */
const storable = (text: string): string => text.replaceAll('\0', '').replaceAll(/\p{Surrogate}/gu, '\ufffd')
