import type { IncomingHttpHeaders } from 'node:http'
import { credentialFromHeaders, type Authenticator } from '../../identity/auth/authenticate.ts'
import type { Principal } from '../../identity/access/principal.ts'
import type { RefusalLimit } from '../../identity/auth/refusal-limit.ts'
import type { ScopeResolver } from '../../identity/access/scope.ts'
import type { DeliveryLimits } from '../../config.ts'
import { toPublicError, UnauthorizedError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import { Pace, type PacedClient } from '../../foundation/limits/pace.ts'
import type { Transport } from './transport.ts'

/** What a client may say of itself when it connects; what it says outranks its headers. */
export interface Greeting {
  token?: unknown
  applicationId?: unknown
  environment?: unknown
}

export interface HandshakeOptions {
  authenticator: Authenticator
  resolveScope: ScopeResolver
  connections: Connections
  /** Counts refused credentials by address. */
  refusals: RefusalLimit
  limits: DeliveryLimits
  metrics: Metrics
  /** Takes a handshake out of the requests that are counted for its address. */
  forgive (address: string): void
}

/** The way from a link to a connection, the same for every transport: who is it, and in which scope? */
export function createHandshake (
  { authenticator, resolveScope, connections, refusals, limits, metrics, forgive }: HandshakeOptions
) {
  const pacing = { limits, metrics }

  async function authenticate (greeting: Greeting, headers: IncomingHttpHeaders, address: string): Promise<Principal> {
    try {
      const credential = credentialOf(greeting, headers)
      if (credential === undefined) throw new UnauthorizedError('CREDENTIAL_MISSING', 'A token is needed')
      return await authenticator.authenticate(credential)
    } catch (error) {
      throw error instanceof UnauthorizedError ? refusals.weigh(address, error) : error
    }
  }

  return {
    limits,

    /**
     * Call once for a link that was refused. Where that was the server's fault, as in an outage of its database, it
     * does not count: clients that go on trying would be refused for their number when it is over.
     */
    refused (error: unknown, address: string): void {
      if (toPublicError(error).status >= 500) forgive(address)
    },

    /** How fast a new link may go. */
    pace: (client: PacedClient): Pace => new Pace(pacing, client),

    /** Whether the headers of the upgrade carry a credential. */
    hasCredential: (headers: IncomingHttpHeaders) => credentialFromHeaders(headers) !== undefined,

    /**
     * Throws UnauthorizedError, ForbiddenError, ValidationError or RateLimitError as REST would, and when the
     * application has as many sockets as it may.
     */
    async identify (greeting: Greeting, headers: IncomingHttpHeaders, address: string) {
      const principal = await authenticate(greeting, headers, address)
      const scope = await resolveScope(principal, {
        applicationId: text(greeting.applicationId) ?? text(headers['x-application-id']),
        environment: text(greeting.environment) ?? text(headers['x-environment'])
      })
      connections.requireRoom(scope)
      return { principal, scope }
    },

    /** The caller tells the connection when its link is gone. */
    open: (transport: Transport, identity: Pick<Connection, 'principal' | 'scope'>): Connection =>
      connections.open({ transport, ...identity })
  }
}
export type Handshake = ReturnType<typeof createHandshake>

function credentialOf ({ token }: Greeting, headers: IncomingHttpHeaders): string | undefined {
  if (token === undefined || token === null || token === '') return credentialFromHeaders(headers)
  if (typeof token !== 'string') throw new UnauthorizedError('CREDENTIAL_INVALID', 'The token is not a string')
  return token.startsWith('sess_') ? token : `Bearer ${token}`
}

const text = (value: unknown) => typeof value === 'string' && value !== '' ? value : undefined
