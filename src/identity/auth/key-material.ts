import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto'

export const algorithms = ['HS256', 'ES256', 'EdDSA'] as const
export type Algorithm = typeof algorithms[number]

export const isAlgorithm = (value: unknown): value is Algorithm => algorithms.includes(value as Algorithm)

/** The two halves of a key. */
export interface KeyMaterial {
  readonly signing: Buffer | string
  readonly verifying: Buffer | string
  /** Undefined for a shared secret, which is never published. */
  readonly publicJwk: JsonWebKey | undefined
}

/**
 * Creates a key's secret as text, to be encrypted by the caller: 256 random bits in base64url, or a private key in PKCS
 * #8.
 */
export function generateSecret (algorithm: Algorithm): string {
  if (algorithm === 'HS256') return randomBytes(32).toString('base64url')
  const { privateKey } = algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('ed25519')
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** Parses a secret. Throws if the text is not a key of the algorithm. */
export function openSecret (algorithm: Algorithm, text: string): KeyMaterial {
  if (algorithm === 'HS256') {
    const secret = Buffer.from(text, 'base64url')
    if (secret.length < 32) throw new Error('the secret is shorter than its hash (RFC 7518 §3.2)')
    return { signing: secret, verifying: secret, publicJwk: undefined }
  }
  const type = createPrivateKey(text).asymmetricKeyType
  if (type !== (algorithm === 'ES256' ? 'ec' : 'ed25519')) throw new Error(`the key is not one for ${algorithm}`)
  const publicKey = createPublicKey(text)
  return {
    signing: text, verifying: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    publicJwk: publicKey.export({ format: 'jwk' })
  }
}
