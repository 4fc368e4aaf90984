import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { HashingQueue, type HashingShare } from './hashing-queue.ts'

/** OWASP's minimum for argon2id, about 8 ms off the main thread: 19 MiB, two passes, one lane. */
export const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** The libuv pool has four threads, which file access, DNS lookups and compression share. Each hashing takes 19 MiB. */
const queue = new HashingQueue({
  runningMax: 3, runningOthersMax: 2, waitingOfOwnerMax: 20, waitingMax: { knownLogin: 250, login: 500, other: 250 }
})

/** The same password can be typed in several Unicode forms; NIST SP 800-63B §5.1.1.2 requires one of them. */
const normalised = (password: string) => password.normalize('NFKC')

/** A hash that no user has, with the same cost as the others. */
let dummy: Promise<string> | undefined

let hashings = 0

/** Returns how many passwords have been hashed or verified since the start. */
export const passwordHashings = (): number => hashings

const hashing = <T>(share: HashingShare, work: () => Promise<T>): Promise<T> => queue.run(share, () => {
  hashings++
  return work()
})

/** For work of the platform itself, such as fixtures. It does not use the places that are reserved for logins. */
const unattributed: HashingShare = { owner: '', kind: 'other' }

/**
 * Hashes a password. Run every other check first. Throws RateLimitError or ServiceUnavailableError `OVERLOADED` if too
 * many passwords wait.
 */
export const hashPassword = (password: string, share = unattributed): Promise<string> =>
  hashing(share, () => hash(normalised(password), cost))

/**
 * Returns whether the password is right. Takes the same time and returns false if `stored` is undefined, which means
 * that there is no such user.
 */
export async function verifyPassword (
  stored: string | undefined, password: string, share = unattributed
): Promise<boolean> {
  const nobodys = await (dummy ??= hash('nobody has this one', cost))
  const isRight = await hashing(share, () => verify(stored ?? nobodys, normalised(password)))
  return isRight && stored !== undefined
}

/** Returns a hash of today's cost that no password has, for users who have none. */
export function hashOfNoPassword (): string {
  const [salt, digest] = [16, 32].map(bytes => randomBytes(bytes).toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$${salt}$${digest}`
}

/** Returns whether a hash was made at another cost than today's. Hash the password again while it is at hand. */
export function isOutdated (stored: string): boolean {
  return !stored.startsWith(`$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$`)
}
