import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { HandshakeAuth } from '../../../schemas/socket-messages.ts'
import { credentialFromHeaders, type Authenticator } from '../../identity/auth/authenticator.ts'
import type { Principal } from '../../identity/access/principal.ts'
import type { RefusalLimit } from '../../identity/auth/refusal-limit.ts'
import type { ScopeResolver } from '../../identity/access/scope.ts'
import type { DeliveryLimits } from '../../config/delivery-limits.ts'
import { toPublicError, UnauthorizedError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { plainText } from '../../foundation/plain-text.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import { Pace, type PacedClient } from '../../foundation/limits/pace.ts'
import type { Transport } from './transport.ts'

/** Fields that a client may send when it connects, of any type. They take precedence over its headers. */
export type Greeting = { readonly [Field in keyof HandshakeAuth]?: unknown }

const userAgentLengthMax = 200
/** Sockets of the same program share one text, because it would be a notable part of a silent socket's memory. */
const userAgentsShared = 1000

export interface HandshakeOptions {
  authenticator: Authenticator
  resolveScope: ScopeResolver
  connections: Connections
  /** Counts refused credentials by address. */
  refusals: RefusalLimit
  limits: DeliveryLimits
  metrics: Metrics
  /** Takes a handshake out of the request count of its address. */
  forgive (address: string): void
}

/**
 * Creates the handshake, the same for every transport: it identifies the client and its scope and opens a connection.
 */
export function createHandshake (
  { authenticator, resolveScope, connections, refusals, limits, metrics, forgive }: HandshakeOptions
) {
  const pacing = { limits, metrics }
  const userAgents = new LRUCache<string, string>({ max: userAgentsShared })

  function userAgentOf (headers: IncomingHttpHeaders): string | null {
    const { 'user-agent': given } = headers
    if (given === undefined) return null
    const text = plainText(given, userAgentLengthMax)
    const shared = userAgents.get(text)
    if (shared === undefined) userAgents.set(text, text)
    return shared ?? text
  }

  async function authenticate (greeting: Greeting, headers: IncomingHttpHeaders, address: string): Promise<Principal> {
    try {
      const credential = credentialOf(greeting, headers)
      if (credential === undefined) {
        throw new UnauthorizedError('CREDENTIAL_MISSING', 'A credential is required: a token or a session token')
      }
      return await authenticator.authenticate(credential)
    } catch (error) {
      throw error instanceof UnauthorizedError ? refusals.weigh(address, error) : error
    }
  }

  return {
    limits,

    /**
     * Call once for each refused link. A refusal that is the server's fault, such as a database outage, does not count
     * against the address. Otherwise clients that keep retrying would be refused after the outage.
     */
    refused (error: unknown, address: string): void {
      if (toPublicError(error).status >= 500) forgive(address)
    },

    /** Creates the pace limit of a new link. */
    pace: (client: PacedClient): Pace => new Pace(pacing, client),

    /** Returns whether the headers of the upgrade carry a credential. */
    hasCredential: (headers: IncomingHttpHeaders) => credentialFromHeaders(headers) !== undefined,

    /**
     * Identifies the client and its scope. Throws the same errors as REST: UnauthorizedError, ForbiddenError,
     * ValidationError or RateLimitError; the last also when the application has reached its limit of sockets.
     */
    async identify (greeting: Greeting, headers: IncomingHttpHeaders, address: string) {
      const principal = await authenticate(greeting, headers, address)
      const scope = await resolveScope(principal, {
        applicationId: text(greeting.applicationId) ?? text(headers['x-application-id']),
        environment: text(greeting.environment) ?? text(headers['x-environment'])
      })
      connections.requireRoom(scope)
      return { principal, scope, client: { address, userAgent: userAgentOf(headers) } }
    },

    /** Opens a connection. The caller must call `closed` on it when its link is gone. */
    open: (transport: Transport, identity: Pick<Connection, 'client' | 'principal' | 'scope'>): Connection =>
      connections.open({ transport, ...identity })
  }
}
export type Handshake = ReturnType<typeof createHandshake>

function credentialOf ({ token }: Greeting, headers: IncomingHttpHeaders): string | undefined {
  if (token === undefined || token === null || token === '') return credentialFromHeaders(headers)
  if (typeof token !== 'string') throw new UnauthorizedError('CREDENTIAL_INVALID', 'The token must be a string')
  return token.startsWith('sess_') ? token : `Bearer ${token}`
}

const text = (value: unknown) => typeof value === 'string' && value !== '' ? value : undefined
