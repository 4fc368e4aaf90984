import type { Environment } from '../../schemas/scope.ts'
import { parsePermissions, permissionsOfRole } from '../../src/identity/access/permission-set.ts'
import type { JwtPrincipal, SessionPrincipal } from '../../src/identity/access/principal.ts'
import { toGrants } from '../../src/identity/auth/sessions.ts'

export function tokenPrincipal (
  permissions: string[],
  { applicationId = 'app_a', environment }: { applicationId?: string, environment?: Environment } = {}
): JwtPrincipal {
  const held = parsePermissions(permissions)
  return {
    kind: 'token',
    credential: 'jwt',
    id: `${applicationId}/me`,
    subject: 'me',
    applicationId,
    environment,
    permissions,
    held: environment === undefined ? held : held.withinEnvironment(),
    keyId: 'key_1',
    tokenKey: 'hash',
    expiresAt: Date.now() + 60_000
  }
}

/** Builds a session principal with roles, each given as `name` (held everywhere) or `[name, applicationId]`. */
export function sessionPrincipal (...roles: (string | [string, string])[]): SessionPrincipal {
  const held = roles.map(role => {
    const [name, applicationId] = typeof role === 'string' ? [role, null] : role
    return { name, applicationId, permissions: permissionsOfRole({ name, isBuiltIn: true, permissions: [] }) }
  })
  return {
    kind: 'session',
    id: 'usr_1',
    userId: 'usr_1',
    user: { id: 'usr_1', email: 'ada@example.com', name: 'Ada' },
    roles: held,
    grants: toGrants(held),
    sessionKey: 'hash',
    expiresAt: Date.now() + 60_000
  }
}
