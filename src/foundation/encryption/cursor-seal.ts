import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { cursorRefused } from '../paging.ts'

const macBytes = 16
const macLength = 22

/**
 * Signs list cursors for the list that they belong to: its route, parameters, filters and scope. A cursor that is
 * forged, changed or from another list is rejected before a query uses it. The keys are derived from those of
 * `Encryption`, so every node accepts the others' cursors, also after a key change.
 */
export function createCursorSeal (encryptionKeys: readonly Buffer[]) {
  const keys = encryptionKeys.map(key =>
    Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'realtime list cursors', 32))
  )

  const macOf = (key: Buffer, list: string, cursor: string): Buffer =>
    createHmac('sha256', key).update(`${list.length} ${list}${cursor}`).digest().subarray(0, macBytes)

  return {
    seal (list: string, cursor: string): string {
      return `${macOf(keys[0] ?? Buffer.alloc(0), list, cursor).toString('base64url')}${cursor}`
    },

    /** Throws ValidationError if the cursor was not sealed for the list. */
    open (list: string, sealed: string): string {
      const [mac, cursor] = [Buffer.from(sealed.slice(0, macLength), 'base64url'), sealed.slice(macLength)]
      if (mac.length !== macBytes || !keys.some(key => timingSafeEqual(macOf(key, list, cursor), mac))) {
        throw cursorRefused()
      }
      return cursor
    }
  }
}
