import { randomFillSync } from 'node:crypto'

const idBytes = 12
const pool = Buffer.allocUnsafe(idBytes * 512)
let used = pool.length

/** 96 random bits in the URL-safe base64 alphabet (RFC 4648 §5), drawn from a pool because each draw of its own costs microseconds. */
function randomText (): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += idBytes
  return pool.toString('base64url', used - idBytes, used)
}

/** `prefix_` and a random part. */
export function randomId (prefix: 'app' | 'doc' | 'sub' | 'key' | 'usr' | 'evt' | 'role' | 'conn' | 'req' | 'node' | 'map' | 'cdc' | 'log' | 'wh' | 'inv' | 'aud'): string {
  return `${prefix}_${randomText()}`
}

/** Names one life of a log. */
export const newEpoch = (): string => randomText()
