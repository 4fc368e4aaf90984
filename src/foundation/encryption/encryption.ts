import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

/** A stored secret that the configured keys cannot decrypt. */
export class UnreadableSecretError extends Error {}

/**
 * The place where a sealed secret is stored. It can be opened only there, so that secrets of two rows cannot be swapped
 * in the database.
 */
export interface SealedPlace { table: string, column: string, id: string }

/**
 * Encrypts secrets at rest with AES-256-GCM, one random 96-bit nonce each (NIST SP 800-38D), and the place as
 * additional authenticated data. The text form `v2.<key>.<nonce>.<tag>.<ciphertext>` names its key, so that several
 * keys can decrypt while one encrypts. `v1` had no additional data; only `reseal` reads it, for `npm run reencrypt`.
 */
export interface Encryption {
  encrypt (plain: string, place: SealedPlace): string
  /** Throws when no configured key fits, when the text was tampered with, or when it was sealed for another place. */
  decrypt (sealed: string, place: SealedPlace): string
  /**
   * Returns the secret sealed with the current key in the current form; the same text if it already is. Throws as
   * `decrypt`.
   */
  reseal (sealed: string, place: SealedPlace): string
}

const algorithm = 'aes-256-gcm'
/** Bytes. Node would accept a shorter tag by default, which can be guessed. */
const authTagLength = 16
/** A nonce of 12 bytes and a tag of 16. */
const form = /^(v[12])\.([\w-]{8})\.([\w-]{16})\.([\w-]{22})\.([\w-]*)$/

/** `keys` are 32 bytes each; the first encrypts, all decrypt. */
export function createEncryption (keys: Buffer[]): Encryption {
  const named = keys.map(key => ({ key, name: createHash('sha256').update(key).digest('base64url').slice(0, 8) }))
  if (named[0] === undefined) throw new Error('at least one encryption key is required')
  const first = named[0]

  function open (sealed: string, place: SealedPlace, versions: readonly string[]): string {
    const [, version = '', name, ...parts] = form.exec(sealed) ?? []
    if (!versions.includes(version)) {
      throw new UnreadableSecretError(
        version === 'v1'
          ? 'a stored secret has the form of an earlier version: run `npm run reencrypt`'
          : 'a stored secret is malformed'
      )
    }
    const found = named.find(candidate => candidate.name === name)
    if (found === undefined) {
      throw new UnreadableSecretError(
        'a stored secret was encrypted with a key that is neither ENCRYPTION_KEY nor in ENCRYPTION_KEYS_OLD'
      )
    }
    const [nonce, tag, ciphertext] = parts.map(part => Buffer.from(part, 'base64url')) as [Buffer, Buffer, Buffer]
    const decipher = createDecipheriv(algorithm, found.key, nonce, { authTagLength })
    if (version === 'v2') decipher.setAAD(dataOf(place))
    decipher.setAuthTag(tag)
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString()
  }

  function encrypt (plain: string, place: SealedPlace): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv(algorithm, first.key, nonce, { authTagLength }).setAAD(dataOf(place))
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return ['v2', first.name, ...[nonce, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))].join('.')
  }

  return {
    encrypt,
    decrypt: (sealed, place) => open(sealed, place, ['v2']),
    reseal (sealed, place) {
      const plain = open(sealed, place, ['v1', 'v2'])
      return sealed.startsWith(`v2.${first.name}.`) ? sealed : encrypt(plain, place)
    }
  }
}

const dataOf = ({ table, column, id }: SealedPlace): Buffer => Buffer.from(JSON.stringify([table, column, id]))
