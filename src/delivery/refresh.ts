import type { Authenticator } from '../auth/authenticate.ts'
import { ForbiddenError } from '../errors.ts'
import { AuthRequest } from '../../schemas/realtime.ts'
import type { Connection } from './connection.ts'
import { socketRequest, type SocketRequest } from './protocol.ts'

/** `auth`: gives a connection a fresh credential of the same subject and scope, so that it outlives the old one. */
export const refreshRequest = (authenticator: Authenticator): SocketRequest => socketRequest('authenticated', AuthRequest, async (connection, { token }, respond) => {
  const principal = await authenticator.authenticate(token.startsWith('sess_') ? token : `Bearer ${token}`)
  if (principal.id !== connection.principal.id || !reaches(principal, connection)) {
    throw new ForbiddenError('PERMISSION_DENIED', 'A fresh token must be for the same subject, application and environment')
  }
  connection.principal = principal
  respond({ expiresAt: principal.expiresAt })
})

const reaches = (principal: Connection['principal'], { scope }: Connection) =>
  principal.kind === 'session' || (principal.applicationId === scope.applicationId && (principal.environment ?? scope.environment) === scope.environment)
