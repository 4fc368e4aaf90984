import type { Principal } from '../access/principal.ts'
import { plainText } from '../../foundation/plain-text.ts'

/** Where a request comes from. */
export interface Visitor {
  readonly address: string | null
  /** As the client sends it, in one line. */
  readonly userAgent: string | null
  readonly requestId: string | null
  /** Where security events are logged, apart from the audit log. */
  readonly log?: SecurityLog | undefined
}

export interface SecurityLog { info (fields: object, message: string): void }

/** Who does something, and from where. */
export interface Origin extends Visitor {
  readonly kind: 'session' | 'token' | 'system'
  readonly id: string
  readonly name: string | null
}

const userAgentLengthMax = 500

/** What the platform does by itself. */
export const system: Origin = {
  kind: 'system', id: 'system', name: null, address: null, userAgent: null, requestId: null
}

/** A request as Fastify has it. */
interface Request {
  readonly ip: string
  readonly id: string
  readonly headers: { readonly 'user-agent'?: string | undefined }
  readonly log: SecurityLog
}

/** `principal` undefined: an anonymous caller of a public route. */
export function originOf (principal: Principal | undefined, { ip, id: requestId, headers, log }: Request): Origin {
  const { 'user-agent': userAgent } = headers
  const visitor = {
    address: ip, userAgent: userAgent === undefined ? null : plainText(userAgent, userAgentLengthMax), requestId, log
  }
  if (principal?.kind === 'session') return asUser(visitor, principal.user)
  return {
    kind: principal === undefined ? 'system' : 'token',
    id: principal?.id ?? 'anonymous',
    name: null,
    ...visitor
  }
}

/** The same visitor, who turned out to be a user. */
export const asUser = (visitor: Visitor, { id, email }: { id: string, email: string }): Origin => ({
  ...visitor,
  kind: 'session',
  id,
  name: email
})
