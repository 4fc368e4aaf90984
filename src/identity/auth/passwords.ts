import { hash, verify } from '@node-rs/argon2'
import { HashingQueue, type HashingShare } from './hashing-queue.ts'

/** OWASP's minimum for argon2id, about 8 ms off the main thread: 19 MiB, two passes, one lane. */
export const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** The libuv pool has four threads, which files, names and compression share; each hashing takes 19 MiB. */
const queue = new HashingQueue({
  runningMax: 3, runningOthersMax: 2, waitingOfOwnerMax: 20, waitingMax: { knownLogin: 250, login: 500, other: 250 }
})

/** The same password may be typed in several Unicode forms; NIST SP 800-63B §5.1.1.2 asks for one of them. */
const normalised = (password: string) => password.normalize('NFKC')

/** A hash that no password has, with the cost of the others. */
let dummy: Promise<string> | undefined

let hashings = 0

/** How often a password was hashed since the start, for whatever purpose: what logins cost. */
export const passwordHashings = (): number => hashings

const hashing = <T>(share: HashingShare, work: () => Promise<T>): Promise<T> => queue.run(share, () => {
  hashings++
  return work()
})

/** The platform's own work, such as fixtures: it has no place that is reserved for logins. */
const unattributed: HashingShare = { owner: '', kind: 'other' }

/** Throws RateLimitError or ServiceUnavailableError `OVERLOADED` when too many wait. Check everything else first. */
export const hashPassword = (password: string, share = unattributed): Promise<string> =>
  hashing(share, () => hash(normalised(password), cost))

/** `stored` undefined: there is no such user. It takes the same time and is false. */
export async function verifyPassword (
  stored: string | undefined, password: string, share = unattributed
): Promise<boolean> {
  const nobodys = await (dummy ??= hash('nobody has this one', cost))
  const isRight = await hashing(share, () => verify(stored ?? nobodys, normalised(password)))
  return isRight && stored !== undefined
}

/** Whether a hash was made at another cost than today's: to be made anew when the password is at hand. */
export function isOutdated (stored: string): boolean {
  return !stored.startsWith(`$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$`)
}
