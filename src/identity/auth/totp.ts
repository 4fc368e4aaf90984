import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { renderSVG } from 'uqr'

/**
 * The parameters that authenticator apps expect (https://github.com/google/google-authenticator/wiki/Key-Uri-Format).
 */
const form = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** A clock may be one step off, either way (RFC 6238 §5.2). */
const window = 1

/** 160 random bits, in base32. */
export const newSeed = (): string => new Secret({ size: 20 }).base32

/** Returns the URI that an authenticator app reads. */
export function seedUri (seed: string, { issuer, label }: { issuer: string, label: string }): string {
  return new TOTP({ ...form, issuer, label, secret: Secret.fromBase32(seed) }).toString()
}

/** Returns the QR code of a text as a data URL. */
export function qrDataUrl (text: string): string {
  return `data:image/svg+xml;base64,${Buffer.from(renderSVG(text, { border: 2 })).toString('base64')}`
}

/** Returns the time step of a code, or undefined if it is not a current code. */
export function stepOf (seed: string, code: string, now = Date.now()): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined
  const totp = new TOTP({ ...form, secret: Secret.fromBase32(seed) })
  const delta = totp.validate({ token: code, timestamp: now, window })
  return delta === null ? undefined : Math.floor(now / 1000 / form.period) + delta
}

const recoveryCodesMade = 10
/** Without characters that look alike: i, l, o, 0, 1. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789'

/** Creates recovery codes of 79 random bits each, enough to store with a fast hash. */
export function newRecoveryCodes (): string[] {
  return Array.from({ length: recoveryCodesMade }, () => {
    const letters = Array.from({ length: 16 }, randomLetter).join('')
    return letters.match(/.{4}/g)?.join('-') ?? letters
  })
}

function randomLetter (): string {
  const fair = 256 - 256 % alphabet.length
  for (;;) {
    const byte = randomBytes(1)[0] as number
    if (byte < fair) return alphabet[byte % alphabet.length] as string
  }
}

/** Normalises a recovery code, which people type with or without the dashes. */
export const plainRecoveryCode = (text: string): string => text.toLowerCase().replaceAll(/[\s-]/g, '')
