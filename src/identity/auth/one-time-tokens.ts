import { hash, randomBytes } from 'node:crypto'

/** Begins the token of an invite that only the owner of the address sees. The hash covers it. */
export const mailedInvite = 'invite_mailed_'

/** Creates a token to return or mail once. Store only its hash. */
export function newOneTimeToken (
  prefix: 'mfa_pending_' | 'reset_' | 'invite_' | typeof mailedInvite | 'oidc_'
): { token: string, tokenHash: Buffer } {
  const token = `${prefix}${randomBytes(32).toString('base64url')}`
  return { token, tokenHash: oneTimeHash(token) }
}

/** A token has 256 random bits, so a fast hash is enough. */
export const oneTimeHash = (token: string): Buffer => hash('sha256', token, 'buffer')
