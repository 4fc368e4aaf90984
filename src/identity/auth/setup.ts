import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Setup as SetupInput, User } from '../../../schemas/auth.ts'
import { asUser, system, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { ForbiddenError } from '../../errors.ts'
import { loginNetworkOf } from './network.ts'
import { hashPassword } from './passwords.ts'
import { hasSuperAdmin, lockSuperAdmins, superAdminRole, insertUser } from './users.ts'

/** Where a request really comes from: the socket's address, not what a header claims. */
export interface SetupCaller {
  socketAddress: string | undefined
  httpVersion: string
  headers: IncomingHttpHeaders
  /** For the audit log. */
  origin?: Origin
}

export interface SetupOptions {
  db: Kysely<Database>
  /** Whether requests come by a proxy, so that where they come from is not to be seen. */
  isProxied: boolean
}

/**
 * The first super_admin, once. Whoever can reach this machine's loopback is taken for its owner; everybody else, and
 * whoever comes by a proxy, needs the token that is printed at start. It lives in memory only, and ends with the
 * set-up.
 */
export class Setup {
  readonly #db: Kysely<Database>
  readonly #isProxied: boolean
  #isDone = false
  #token: string | undefined

  constructor ({ db, isProxied }: SetupOptions) {
    this.#db = db
    this.#isProxied = isProxied
  }

  /** Makes the one-time token if set-up is still to be done. */
  async start (): Promise<void> {
    if (await this.isRequired()) this.#token = randomBytes(24).toString('base64url')
  }

  /** To be printed at start and shown to nobody else; undefined once the platform is set up. */
  get token (): string | undefined { return this.#token }

  async isRequired (): Promise<boolean> {
    if (!this.#isDone && await hasSuperAdmin(this.#db)) this.#finish()
    return !this.#isDone
  }

  /** Of several callers at once, one succeeds. Throws ForbiddenError `SETUP_DONE` or `SETUP_TOKEN_REQUIRED`. */
  async run ({ name, email, password, setupToken }: SetupInput, caller: SetupCaller): Promise<User> {
    if (!await this.isRequired()) throw done()
    if (!this.#isToken(setupToken) && (this.#isProxied || !isLoopback(caller))) {
      throw new ForbiddenError(
        'SETUP_TOKEN_REQUIRED',
        'From elsewhere than loopback, and by a proxy, set-up needs the setupToken that was printed when the server ' +
          'started'
      )
    }
    const passwordHash = await hashPassword(password, { owner: loginNetworkOf(caller.socketAddress), kind: 'other' })
    const user = await this.#db.transaction().execute(async trx => {
      await lockSuperAdmins(trx)
      if (await hasSuperAdmin(trx)) return undefined
      const created = await insertUser(trx, { name, email, passwordHash })
      if (created === undefined) return undefined
      await trx.insertInto('role_assignments').values({
        user_id: created.id, role_id: superAdminRole, application_id: null
      }).execute()
      await record(trx, asUser({ ...(caller.origin ?? system), address: caller.socketAddress ?? null }, created), {
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

const done = () => new ForbiddenError('SETUP_DONE', 'The platform is set up; log in instead')

const loopbackAddress = /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const loopbackHost = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i
/** Whether a URL of ours leads elsewhere than to this machine: then there is a proxy. */
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
 * A request that any proxy passed on is not loopback, whatever it says of its origin: the proxy may be on this machine
 * while its client is not. One that says nothing of itself, as nginx is set up by default, speaks HTTP/1.0. Nor is one
 * that names another host: that is a web page whose own name was pointed here (DNS rebinding). Nor one that a page of
 * another origin sends by the browser of somebody who sits here, be all origins allowed.
 */
export function isLoopback ({ socketAddress, httpVersion, headers }: SetupCaller): boolean {
  return socketAddress !== undefined && loopbackAddress.test(socketAddress) && httpVersion !== '1.0' &&
    headers.host !== undefined && loopbackHost.test(headers.host) &&
    (headers.origin === undefined || loopbackOrigin.test(headers.origin)) &&
    !forwardingHeaders.some(name => headers[name] !== undefined)
}
