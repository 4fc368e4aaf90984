import { randomBytes } from 'node:crypto'
import type { SealedSecret } from '../../db/tables.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import { ConflictError } from '../errors.ts'
import { invalid } from '../foundation/json.ts'
import { sealedPlaces } from '../foundation/encryption/reencrypt.ts'

const prefix = 'whsec_'
/**
 * Asymmetric keys (`whsk_`, `whpk_`), unsupported version prefixes and misspelled `whsec_`. Used as plain text, they
 * would produce wrong signatures.
 */
const otherKinds = /^(?:v\d+a?,|whs?[kp]k?_|whsec[_-])/i
const generatedBytes = 32
/**
 * Key length that the specification allows.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
const keyBytes = { min: 24, max: 64 }
/** How long a replaced secret keeps signing beside its successor. */
export const overlapMs = 24 * 3_600_000
/** Secrets that sign at once. Limits the length of the signature header. */
const secretsMax = 10

export const generateSecret = (): string => prefix + randomBytes(generatedBytes).toString('base64')

/** Returns the signing key: a `whsec_` secret is base64, any other text is used as UTF-8. */
export const keyOf = (secret: string): Buffer =>
  secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret)

/**
 * Returns the secret in its stored form. `v1,whsec_…`, as some consoles show it, loses its prefix `v1,`. Throws
 * ValidationError for a `whsec_` secret that is not base64 of 24 to 64 bytes, and for a text that looks like another
 * kind of key or a misspelled prefix.
 */
export function checkSecret (text: string): string {
  const secret = text.replace(/^v1,(?=whsec_)/, '')
  if (!secret.startsWith(prefix)) {
    if (otherKinds.test(secret)) {
      throw invalid(
        '/secret', `must be ${prefix} followed by base64, or a text that does not look like another type of key`
      )
    }
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

/** Puts a new secret before those that still sign. Throws ConflictError `WEBHOOK_LIMIT` when too many would sign. */
export function rotated (secrets: readonly SealedSecret[], sealed: string, now: number): SealedSecret[] {
  const earlier = secrets.map(secret => ({ ...secret, until: secret.until ?? now + overlapMs })).filter(({ until }) =>
    until > now
  )
  if (earlier.length >= secretsMax) {
    throw new ConflictError(
      'WEBHOOK_LIMIT',
      `The webhook already has ${secretsMax} secrets that sign. The oldest expires within a day; retry after that`
    )
  }
  return [{ sealed, until: null }, ...earlier]
}

/**
 * Returns the secrets that signed a request at a time, as far as they are still stored. A secret begins to sign when it
 * replaces the next one, which signs for `overlapMs` longer.
 */
export const signedAt = (secrets: readonly SealedSecret[], at: number): SealedSecret[] =>
  secrets.filter(({ until }, i) => {
    const replaced = secrets[i + 1]?.until
    return (until === null || until > at) && (replaced === undefined || replaced === null || replaced - overlapMs <= at)
  })

/** Returns the keys that sign now, the current one first. Throws when an encryption key of a secret is missing. */
export const openKeys = (
  encryption: Encryption, webhookId: string, secrets: readonly SealedSecret[], now: number
): Buffer[] =>
  secrets.filter(({ until }) => until === null || until > now).map(({ sealed }) =>
    keyOf(encryption.decrypt(sealed, sealedPlaces.webhook(webhookId)))
  )
