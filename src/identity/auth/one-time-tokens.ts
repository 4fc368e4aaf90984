import { hash, randomBytes } from 'node:crypto'

/** A token that is shown or mailed once, and stored as its hash. */
export function newOneTimeToken (prefix: 'mfa_pending_' | 'reset_' | 'invite_'): { token: string, tokenHash: Buffer } {
  const token = `${prefix}${randomBytes(32).toString('base64url')}`
  return { token, tokenHash: oneTimeHash(token) }
}

/** It has 256 random bits: a plain hash is as good as a slow one. */
export const oneTimeHash = (token: string): Buffer => hash('sha256', token, 'buffer')
