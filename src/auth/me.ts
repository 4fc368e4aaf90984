import type { Me } from '../../schemas/auth.ts'
import type { Principal } from '../identity/access/principal.ts'

/** What a principal may know of themselves. */
export function toMe (principal: Principal): Me {
  const { kind, expiresAt } = principal
  if (principal.kind === 'token') {
    const { subject, applicationId, environment, permissions } = principal
    return { kind, subject, applicationId, ...(environment !== undefined && { environment }), permissions: [...permissions], expiresAt }
  }
  return {
    kind,
    user: principal.user,
    roles: principal.roles.map(({ name, applicationId, permissions }) => ({ name, applicationId, permissions: permissions.toStrings() })),
    permissions: principal.grants.everywhere.toStrings(),
    expiresAt
  }
}
