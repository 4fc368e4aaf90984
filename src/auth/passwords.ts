import { hash, verify } from '@node-rs/argon2'

/** OWASP's minimum for argon2id, about 8 ms off the main thread: 19 MiB, two passes, one lane. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** The same password may be typed in several Unicode forms; NIST SP 800-63B §5.1.1.2 asks for one of them. */
const normalised = (password: string) => password.normalize('NFKC')

export const hashPassword = (password: string): Promise<string> => hash(normalised(password), cost)

/** A hash that no password has, with the cost of the others. */
let dummy: Promise<string> | undefined

/** `stored` undefined: there is no such user. It takes the same time and is false. */
export async function verifyPassword (stored: string | undefined, password: string): Promise<boolean> {
  const nobodys = await (dummy ??= hashPassword('nobody has this one'))
  const isRight = await verify(stored ?? nobodys, normalised(password))
  return isRight && stored !== undefined
}
