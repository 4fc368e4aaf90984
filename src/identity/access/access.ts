import type { Scope } from '../../../schemas/scope.ts'
import { authorize, authorizeInEvery, authorizeTopic, type PermissionName } from './permissions.ts'
import type { Principal } from './principal.ts'
import { mayReadDocuments, mayReadEvent, type EventFact } from './reading.ts'

/** The rights of a principal in a scope: binds the rules of `permissions.ts` and `reading.ts` to both. */
export class Access {
  readonly #principal: Principal
  readonly #scope: Scope

  constructor (principal: Principal, scope: Scope) {
    this.#principal = principal
    this.#scope = scope
  }

  authorize (permission: PermissionName): void {
    authorize(this.#principal, this.#scope, permission)
  }

  authorizeTopic (verb: 'subscribe' | 'publish', topic: string): void {
    authorizeTopic(this.#principal, this.#scope, verb, topic)
  }

  /** Requires the permission in every environment of the application. */
  authorizeInEvery (permission: PermissionName): void {
    authorizeInEvery(this.#principal, this.#scope.applicationId, permission)
  }

  mayReadEvent (event: EventFact): boolean {
    return mayReadEvent(this.#principal, this.#scope, event)
  }

  mayReadDocuments (): boolean {
    return mayReadDocuments(this.#principal, this.#scope)
  }
}
