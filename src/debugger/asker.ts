import { isAllowed } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { mayReadTopic } from '../identity/access/reading.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { Within } from '../webhooks/endpoints.ts'

/** Who looks, from where, and what they may see. */
export interface Asker {
  scope: Scope
  /** The environment whose webhooks alone they may know of, if they are limited to one. */
  within: Within
  /** Whether they may see payloads of the topic: whoever may not subscribe to it may not read it here. */
  maySee (topic: string): boolean
  /** Whether they may know of another environment of the application. */
  mayLookInto (environment: Environment): boolean
}

export const askerFor = (principal: Principal, scope: Scope): Asker => ({
  scope,
  within: principal.kind === 'token' ? principal.environment : undefined,
  maySee: topic => mayReadTopic(principal, scope, topic),
  mayLookInto: environment => isAllowed(principal, { applicationId: scope.applicationId, environment }, 'debugger:read')
})
