import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Setup as SetupInput, User } from '../../../schemas/auth.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { ForbiddenError } from '../../errors.ts'
import { loginNetworkOf } from './network.ts'
import { hashPassword } from './passwords.ts'
import type { SignInMethods } from './sign-in-methods.ts'
import { hasSuperAdmin, lockSuperAdmins, superAdminRole, insertUser } from './users.ts'

/** The client of a request, from its socket rather than from a header that can be forged. */
export interface LocalCaller {
  socketAddress: string | undefined
  httpVersion: string
  headers: IncomingHttpHeaders
}

export interface SetupCaller extends LocalCaller {
  /** For the audit log. */
  origin: Origin
}

export interface SetupOptions {
  /** The token to accept, where several processes must accept the same. */
  token?: string | undefined
  db: Kysely<Database>
  /** Whether requests arrive through a proxy, which hides where they come from. */
  isProxied: boolean
  /** Without passwords, the identity provider decides who is super_admin, so there is no setup. */
  methods: Pick<SignInMethods, 'hasPasswords' | 'requirePasswords'>
}

/**
 * Creates the first super_admin, once. A request over the loopback interface of this machine is trusted. Any other
 * request, and any request through a proxy, requires the token that is printed at start. The token is kept in memory
 * only, until setup is complete.
 */
export class Setup {
  readonly #db: Kysely<Database>
  readonly #isProxied: boolean
  readonly #methods: SetupOptions['methods']
  #isDone = false
  readonly #wantedToken: string | undefined
  #token: string | undefined

  constructor ({ db, isProxied, methods, token }: SetupOptions) {
    this.#wantedToken = token
    this.#db = db
    this.#methods = methods
    this.#isProxied = isProxied
  }

  /** Creates the one-time token if setup is not complete. */
  async start (): Promise<void> {
    if (await this.isRequired()) this.#token = this.#wantedToken ?? randomBytes(24).toString('base64url')
  }

  /** The token to print at start and nowhere else; undefined once setup is complete. */
  get token (): string | undefined { return this.#token }

  async isRequired (): Promise<boolean> {
    if (!this.#methods.hasPasswords) return false
    if (!this.#isDone && await hasSuperAdmin(this.#db)) this.#finish()
    return !this.#isDone
  }

  /**
   * Creates the user. If several calls run at once, one succeeds. Throws ForbiddenError `SETUP_DONE`,
   * `SETUP_TOKEN_REQUIRED` or `OIDC_ONLY`.
   */
  async run ({ name, email, password, setupToken }: SetupInput, caller: SetupCaller): Promise<User> {
    this.#methods.requirePasswords()
    if (!await this.isRequired()) throw done()
    if (!this.#isToken(setupToken) && (this.#isProxied || !isLoopback(caller))) {
      throw new ForbiddenError(
        'SETUP_TOKEN_REQUIRED',
        'Setup from another machine or through a proxy requires setupToken. Copy it from the output of the server ' +
          'at start'
      )
    }
    const passwordHash = await hashPassword(password, { owner: loginNetworkOf(caller.socketAddress), kind: 'other' })
    const user = await this.#db.transaction().execute(async trx => {
      await lockSuperAdmins(trx)
      if (await hasSuperAdmin(trx)) return undefined
      const created = await insertUser(trx, { name, email, passwordHash, passwordSetBy: 'owner' })
      if (created === undefined) return undefined
      await trx.insertInto('role_assignments').values({
        user_id: created.id, role_id: superAdminRole, application_id: null
      }).execute()
      await record(trx, asUser({ ...caller.origin, address: caller.socketAddress ?? null }, created), {
        action: 'user.set_up',
        resourceId: created.id,
        after: { ...created, roles: [{ roleId: superAdminRole, applicationId: null }] }
      })
      return created
    })
    if (user === undefined) throw done()
    this.#finish()
    return user
  }

  #finish (): void {
    this.#isDone = true
    this.#token = undefined
  }

  #isToken (given: string | undefined): boolean {
    if (given === undefined || this.#token === undefined) return false
    const [a, b] = [Buffer.from(given), Buffer.from(this.#token)]
    return a.length === b.length && timingSafeEqual(a, b)
  }
}

const done = () => new ForbiddenError('SETUP_DONE', 'The platform is already set up. Log in instead')

const loopbackAddress = /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const loopbackHost = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i
/** Returns whether the platform's URL names another host than this machine, so that a proxy must be in front. */
export const isElsewhere = (url: string | undefined): boolean =>
  url !== undefined && !loopbackHost.test(new URL(url).host)

const loopbackOrigin = /^https?:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i
const forwardingHeaders = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-server',
  'x-real-ip',
  'x-client-ip',
  'cf-connecting-ip',
  'true-client-ip',
  'fly-client-ip'
]

/**
 * Returns whether a request comes from this machine. A request that passed a proxy does not, whatever its headers
 * claim: the proxy may run on this machine while its client does not. A proxy without forwarding headers, such as nginx
 * with its defaults, uses HTTP/1.0. A request with another `Host` comes from a web page whose name was pointed here
 * (DNS rebinding). A request with another `Origin` comes from a page in a local browser, even if all origins are
 * allowed.
 */
export function isLoopback ({ socketAddress, httpVersion, headers }: LocalCaller): boolean {
  return socketAddress !== undefined && loopbackAddress.test(socketAddress) && httpVersion !== '1.0' &&
    headers.host !== undefined && loopbackHost.test(headers.host) &&
    (headers.origin === undefined || loopbackOrigin.test(headers.origin)) &&
    !forwardingHeaders.some(name => headers[name] !== undefined)
}
