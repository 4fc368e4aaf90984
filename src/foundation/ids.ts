import { randomFillSync } from 'node:crypto'

const idBytes = 12
const pool = Buffer.allocUnsafe(idBytes * 512)
let used = pool.length

/**
 * Returns 96 random bits in the URL-safe base64 alphabet (RFC 4648 §5). They come from a pool, because each separate
 * draw takes microseconds.
 */
function randomText (): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += idBytes
  return pool.toString('base64url', used - idBytes, used)
}

/** Returns `prefix_` and a random part. */
export function randomId (
  prefix:
    | 'app'
    | 'doc'
    | 'sub'
    | 'key'
    | 'apk'
    | 'usr'
    | 'evt'
    | 'role'
    | 'conn'
    | 'req'
    | 'node'
    | 'map'
    | 'cdc'
    | 'log'
    | 'wh'
    | 'inv'
    | 'aud'
    | 'rpl'
    | 'dep'
    | 'dco'
): string {
  return `${prefix}_${randomText()}`
}

/** Returns the identifier of one life of a log. */
export const newEpoch = (): string => randomText()

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const valueOf = new Map([...alphabet].map((letter, value) => [letter, value]))
const runLength = 12
const eventIdForm = /^evt_[A-Za-z0-9_-]{16}$/

/**
 * Returns the name of a run: the events that one transaction appends to one log. Their ids share its 72 random bits, so
 * that data about events can be stored by run and found by any of the ids.
 */
export const newRun = (): string => randomText().slice(0, runLength)

/**
 * Returns the id of a run's event, counted from 0. The count is folded into the run's own letters, so that ids do not
 * look sequential.
 */
export function eventIdIn (run: string, ordinal: number): string {
  let id = `evt_${run}`
  for (let i = 0; i < 4; i++) id += alphabet[((ordinal >> (18 - 6 * i)) & 63) ^ (valueOf.get(run[i] as string) ?? 0)]
  return id
}

/** Returns the run of an event and its place in the run, or undefined if the text is no event id. */
export function runOf (eventId: string): { run: string, ordinal: number } | undefined {
  if (!eventIdForm.test(eventId)) return undefined
  let ordinal = 0
  for (let i = 4; i < 8; i++) {
    ordinal = (ordinal << 6) |
      ((valueOf.get(eventId[i + runLength] as string) ?? 0) ^ (valueOf.get(eventId[i] as string) ?? 0))
  }
  return { run: eventId.slice(4, 4 + runLength), ordinal }
}
