import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

/**
 * Secrets at rest: AES-256-GCM, one random 96-bit nonce each (NIST SP 800-38D).
 * The text form `v1.<key>.<nonce>.<tag>.<ciphertext>` names its key, so that several keys can decrypt while one encrypts.
 */
export interface Encryption {
  encrypt (plain: string): string
  /** Throws when no configured key fits or the text was tampered with. */
  decrypt (sealed: string): string
  /** Whether it was sealed with the key that encrypts now. */
  isCurrent (sealed: string): boolean
}

/** `keys` are 32 bytes each; the first encrypts, all decrypt. */
export function createEncryption (keys: Buffer[]): Encryption {
  const named = keys.map(key => ({ key, name: createHash('sha256').update(key).digest('base64url').slice(0, 8) }))
  const first = named[0]
  if (first === undefined) throw new Error('at least one encryption key is needed')
  return {
    encrypt (plain) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', first.key, nonce)
      const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return ['v1', first.name, ...[nonce, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))].join('.')
    },
    isCurrent: sealed => sealed.startsWith(`v1.${first.name}.`),
    decrypt (sealed) {
      const [version, name, nonce, tag, ciphertext] = sealed.split('.')
      const found = named.find(candidate => candidate.name === name)
      if (version !== 'v1' || found === undefined || nonce === undefined || tag === undefined || ciphertext === undefined) {
        throw new Error('a stored secret was encrypted with a key that is neither ENCRYPTION_KEY nor in ENCRYPTION_KEYS_OLD')
      }
      const decipher = createDecipheriv('aes-256-gcm', found.key, Buffer.from(nonce, 'base64url'))
      decipher.setAuthTag(Buffer.from(tag, 'base64url'))
      return Buffer.concat([decipher.update(Buffer.from(ciphertext, 'base64url')), decipher.final()]).toString()
    }
  }
}
