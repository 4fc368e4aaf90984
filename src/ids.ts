import { randomBytes, randomFillSync } from 'node:crypto'

const pool = Buffer.allocUnsafe(12 * 512)
let used = pool.length

/** `prefix_` and 96 random bits in the URL-safe base64 alphabet (RFC 4648 §5). */
export function randomId (prefix: 'app' | 'doc' | 'sub' | 'key' | 'usr' | 'evt' | 'role' | 'conn' | 'req'): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 12
  return `${prefix}_${pool.toString('base64url', used - 12, used)}`
}

/** Names one life of a log. */
export const newEpoch = () => randomBytes(9).toString('base64url')
