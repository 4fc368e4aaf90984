import type { Principal } from '../auth/principal.ts'

/** Who does something, and from where. */
export interface Origin {
  readonly kind: 'session' | 'token' | 'system'
  readonly id: string
  readonly name: string | null
  readonly address: string | null
  readonly requestId: string | null
}

/** What the platform does by itself. */
export const system: Origin = { kind: 'system', id: 'system', name: null, address: null, requestId: null }

/** `principal` undefined: somebody whom a public route has let in. */
export function originOf (principal: Principal | undefined, { address, requestId }: { address: string, requestId: string }): Origin {
  if (principal?.kind === 'session') return { kind: 'session', id: principal.userId, name: principal.user.email, address, requestId }
  return { kind: principal === undefined ? 'system' : 'token', id: principal?.id ?? 'anonymous', name: null, address, requestId }
}
