import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { cursorRefused } from '../paging.ts'

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const authTagLength = 16

/**
 * Encrypts list cursors for the list that they belong to: its route, parameters, filters and scope. A cursor that is
 * forged, changed or from another list is rejected before a query uses it. Nobody can read one: it may have the values
 * of a row that was examined last, but that its caller may not see. The keys are derived from those of `Encryption`, so
 * every node accepts the others' cursors, also after a key change. A cursor is what `encodeCursor` returns.
 */
export function createCursorSeal (encryptionKeys: readonly Buffer[]) {
  const keys = encryptionKeys.map(key =>
    Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'realtime list cursors', 32))
  )

  function decrypt (key: Buffer, list: string, sealed: Buffer): string | undefined {
    try {
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength })
      decipher.setAAD(Buffer.from(list))
      decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + authTagLength))
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + authTagLength)), decipher.final()])
        .toString('base64url')
    } catch {
      return undefined
    }
  }

  return {
    seal (list: string, cursor: string): string {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv(algorithm, keys[0] ?? Buffer.alloc(32), nonce, { authTagLength })
      cipher.setAAD(Buffer.from(list))
      const text = Buffer.concat([cipher.update(cursor, 'base64url'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url')
    },

    /** Throws ValidationError if the cursor was not sealed for the list. */
    open (list: string, text: string): string {
      const sealed = Buffer.from(text, 'base64url')
      // Base64 has several texts for one value. Only the one that was returned is accepted.
      if (sealed.length <= nonceBytes + authTagLength || sealed.toString('base64url') !== text) throw cursorRefused()
      for (const key of keys) {
        const cursor = decrypt(key, list, sealed)
        if (cursor !== undefined) return cursor
      }
      throw cursorRefused()
    }
  }
}
