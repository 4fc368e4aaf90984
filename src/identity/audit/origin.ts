import { isApiKey, type Principal } from '../access/principal.ts'
import { plainText } from '../../foundation/plain-text.ts'

/** The client of a request. */
export interface Visitor {
  readonly address: string | null
  /** The header of the client, in one line. */
  readonly userAgent: string | null
  readonly requestId: string | null
  /** The logger for security events, which are logged as well as audited. */
  readonly log?: SecurityLog | undefined
}

export interface SecurityLog { info (fields: object, message: string): void }

/** The author of a change, and its client. */
export interface Origin extends Visitor {
  readonly kind: 'session' | 'token' | 'api-key' | 'system'
  readonly id: string
  readonly name: string | null
}

const userAgentLengthMax = 500

/** The origin of changes that the platform makes by itself. */
export const system: Origin = {
  kind: 'system', id: 'system', name: null, address: null, userAgent: null, requestId: null
}

/** The part of a Fastify request that is used here. */
interface Request {
  readonly ip: string
  readonly id: string
  readonly headers: { readonly 'user-agent'?: string | undefined }
  readonly log: SecurityLog
}

/** Returns the origin of a request. An undefined `principal` means an anonymous caller of a public route. */
export function originOf (principal: Principal | undefined, { ip, id: requestId, headers, log }: Request): Origin {
  const { 'user-agent': userAgent } = headers
  const visitor = {
    address: ip, userAgent: userAgent === undefined ? null : plainText(userAgent, userAgentLengthMax), requestId, log
  }
  if (principal?.kind === 'session') return asUser(visitor, principal.user)
  if (principal !== undefined && isApiKey(principal)) {
    return { kind: 'api-key', id: principal.id, name: principal.name, ...visitor }
  }
  return {
    kind: principal === undefined ? 'system' : 'token',
    id: principal?.id ?? 'anonymous',
    name: null,
    ...visitor
  }
}

/** Returns the origin of a visitor after authentication as a user. */
export const asUser = (visitor: Visitor, { id, email }: { id: string, email: string }): Origin => ({
  ...visitor,
  kind: 'session',
  id,
  name: email
})
