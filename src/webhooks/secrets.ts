import { randomBytes } from 'node:crypto'
import type { SealedSecret } from '../../db/tables.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import { ConflictError } from '../errors.ts'
import { invalid } from '../foundation/json.ts'
import { sealedPlaces } from '../foundation/encryption/reencrypt.ts'

const prefix = 'whsec_'
/**
 * Asymmetric keys (`whsk_`, `whpk_`), version prefixes that are not understood, and `whsec_` misspelled: as texts they
 * would sign wrongly.
 */
const otherKinds = /^(?:v\d+a?,|whs?[kp]k?_|whsec[_-])/i
const generatedBytes = 32
/**
 * What the specification allows of a key.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
const keyBytes = { min: 24, max: 64 }
/** How long a secret that was replaced goes on signing beside its successor. */
export const overlapMs = 24 * 3_600_000
/** Secrets that sign at once, so that a header cannot grow without end. */
const secretsMax = 10

export const generateSecret = (): string => prefix + randomBytes(generatedBytes).toString('base64')

/** The bytes that sign: a `whsec_` secret is base64, any other text is its UTF-8. */
export const keyOf = (secret: string): Buffer =>
  secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret)

/**
 * Returns the secret as it is kept. `v1,whsec_…`, as some consoles show it, is the secret after the comma. Throws
 * ValidationError for a `whsec_` secret that is not base64 of 24 to 64 bytes, and for what looks like a key of another
 * kind or a mangled prefix.
 */
export function checkSecret (text: string): string {
  const secret = text.replace(/^v1,(?=whsec_)/, '')
  if (!secret.startsWith(prefix)) {
    if (otherKinds.test(secret)) { throw invalid('/secret', `must be ${prefix} and base64, or a text that is no other kind of key`) }
    return secret
  }
  const key = keyOf(secret)
  if (
    key.length < keyBytes.min || key.length > keyBytes.max || key.toString('base64') !== secret.slice(prefix.length)
  ) {
    throw invalid(
      '/secret',
      `must be base64 of ${keyBytes.min} to ${keyBytes.max} bytes after ${prefix}, or a text without that prefix`
    )
  }
  return secret
}

/**
 * Puts a new secret before those that still sign. Throws ConflictError `WEBHOOK_LIMIT` when there would be too many.
 */
export function rotated (secrets: readonly SealedSecret[], sealed: string, now: number): SealedSecret[] {
  const earlier = secrets.map(secret => ({ ...secret, until: secret.until ?? now + overlapMs })).filter(({ until }) =>
    until > now
  )
  if (earlier.length >= secretsMax) {
    throw new ConflictError(
      'WEBHOOK_LIMIT',
      `The webhook has ${secretsMax} secrets that still sign; the oldest stops within a day`
    )
  }
  return [{ sealed, until: null }, ...earlier]
}

/** The keys that sign now, the current one first. Throws when one was sealed with a key that is gone. */
export const openKeys = (
  encryption: Encryption, webhookId: string, secrets: readonly SealedSecret[], now: number
): Buffer[] =>
  secrets.filter(({ until }) => until === null || until > now).map(({ sealed }) =>
    keyOf(encryption.decrypt(sealed, sealedPlaces.webhook(webhookId)))
  )
