import { hash, verify } from '@node-rs/argon2'
import { ServiceUnavailableError } from '../errors.ts'

/** OWASP's minimum for argon2id, about 8 ms off the main thread: 19 MiB, two passes, one lane. */
export const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** At once: of the four threads that files, names and compression share with them, and 19 MiB each. */
const runningMax = 3
/** Ten seconds of work; whoever comes then is told to come back. */
const waitingMax = 500

/** The same password may be typed in several Unicode forms; NIST SP 800-63B §5.1.1.2 asks for one of them. */
const normalised = (password: string) => password.normalize('NFKC')

/** A hash that no password has, with the cost of the others. */
let dummy: Promise<string> | undefined

let running = 0
let hashings = 0
const waiting: (() => void)[] = []

/** How often a password was hashed since the start, for whatever purpose: what logins cost. */
export const passwordHashings = (): number => hashings

async function hashing<T> (work: () => Promise<T>): Promise<T> {
  if (running >= runningMax) {
    if (waiting.length >= waitingMax) throw new ServiceUnavailableError('OVERLOADED', 'Too many logins at once; come back shortly', { retryAfterS: 5 })
    await new Promise<void>(resolve => { waiting.push(resolve) })
  } else {
    running++
  }
  hashings++
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

/** Throws ServiceUnavailableError `OVERLOADED` when too many wait. */
export const hashPassword = (password: string): Promise<string> => hashing(() => hash(normalised(password), cost))

/** `stored` undefined: there is no such user. It takes the same time and is false. */
export async function verifyPassword (stored: string | undefined, password: string): Promise<boolean> {
  const nobodys = await (dummy ??= hash('nobody has this one', cost))
  const isRight = await hashing(() => verify(stored ?? nobodys, normalised(password)))
  return isRight && stored !== undefined
}

/** Whether a hash was made at another cost than today's: to be made anew when the password is at hand. */
export function isOutdated (stored: string): boolean {
  return !stored.startsWith(`$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$`)
}
