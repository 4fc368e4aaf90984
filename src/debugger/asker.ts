import { isAllowed } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { mayReadTopic } from '../identity/access/reading.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { Within } from '../webhooks/endpoint-rows.ts'

/** The scope of a debugger request, and what its principal may see. */
export interface Asker {
  scope: Scope
  /** The environment whose webhooks the principal may see, if it is limited to one. */
  within: Within
  /** Whether the principal may see payloads of the topic. Requires the permission to subscribe to it. */
  maySee (topic: string): boolean
  /** Whether the principal may use the debugger in another environment of the application. */
  mayLookInto (environment: Environment): boolean
}

export const askerFor = (principal: Principal, scope: Scope): Asker => ({
  scope,
  within: principal.kind === 'token' ? principal.environment : undefined,
  maySee: topic => mayReadTopic(principal, scope, topic),
  mayLookInto: environment => isAllowed(principal, { applicationId: scope.applicationId, environment }, 'debugger:read')
})
