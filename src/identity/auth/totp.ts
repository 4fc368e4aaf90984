import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { renderSVG } from 'uqr'

/** What authenticator apps expect (https://github.com/google/google-authenticator/wiki/Key-Uri-Format). */
const form = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** A clock may be one step off, either way (RFC 6238 §5.2). */
const window = 1

/** 160 random bits, in base32. */
export const newSeed = (): string => new Secret({ size: 20 }).base32

/** What an authenticator app reads. */
export function seedUri (seed: string, { issuer, label }: { issuer: string, label: string }): string {
  return new TOTP({ ...form, issuer, label, secret: Secret.fromBase32(seed) }).toString()
}

/** A picture of a text as a data URL. */
export function qrDataUrl (text: string): string {
  return `data:image/svg+xml;base64,${Buffer.from(renderSVG(text, { border: 2 })).toString('base64')}`
}

/** The time step whose code this is; undefined when it is none of now. */
export function stepOf (seed: string, code: string, now = Date.now()): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined
  const totp = new TOTP({ ...form, secret: Secret.fromBase32(seed) })
  const delta = totp.validate({ token: code, timestamp: now, window })
  return delta === null ? undefined : Math.floor(now / 1000 / form.period) + delta
}

const recoveryCodesMade = 10
/** Without what looks alike: i, l, o, 0, 1. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789'

/** Each has 79 random bits: no slow hash is needed to keep it. */
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

/** The form in which a recovery code is compared: as people type it, with or without the dashes. */
export const plainRecoveryCode = (text: string): string => text.toLowerCase().replaceAll(/[\s-]/g, '')
