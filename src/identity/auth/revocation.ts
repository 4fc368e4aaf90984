import { isApiKey, isJwt, type Principal } from '../access/principal.ts'
import type { ApiKeys } from './api-keys.ts'
import type { ApplicationCache } from './application-cache.ts'
import { closeCodes, type CloseReason } from './close-codes.ts'
import { CredentialWatch, type CredentialHolder } from './credential-watch.ts'
import type { Sessions } from './sessions.ts'
import type { SigningKeys } from './signing-keys.ts'

export interface RevocationOptions {
  applications: Pick<ApplicationCache, 'living'>
  keys: Pick<SigningKeys, 'isGood'>
  sessions: Pick<Sessions, 'living'>
  apiKeys: Pick<ApiKeys, 'living'>
  log: { warn (fields: object, message: string): void }
}

/** All open holders of one kind on this node. */
export interface CredentialHolders<H extends CredentialHolder> {
  all (): Iterable<H>
  closeWhere (isMeant: (holder: H) => boolean, reason: CloseReason): unknown
  /** Called if the roles of a session have changed, or those of the creator of an API key. */
  adopt (holder: H, now: Principal): Promise<unknown> | void
}

type CloseWhere = (isMeant: (holder: CredentialHolder) => boolean, reason: CloseReason) => unknown

/**
 * Closes what stays open for a credential or an application that has ended, on this node: at once when it is reported
 * here, and otherwise by polling the database (`CredentialWatch`).
 */
export class Revocation {
  readonly #options: RevocationOptions
  readonly #closings: CloseWhere[] = []
  readonly #watches: Pick<CredentialWatch<CredentialHolder>, 'check' | 'start' | 'close'>[] = []

  constructor (options: RevocationOptions) {
    this.#options = options
  }

  /** Adds a kind of holders. Call it before `start`. */
  follow<H extends CredentialHolder> (holders: CredentialHolders<H>): void {
    this.#closings.push((isMeant, reason) => holders.closeWhere(isMeant, reason))
    this.#watches.push(
      new CredentialWatch<H>({
        ...this.#options, holders: () => holders.all(), adopt: (holder, now) => holders.adopt(holder, now)
      })
    )
  }

  endSession (key: string): void {
    this.#closeWhere(
      ({ principal }) => principal.kind === 'session' && principal.sessionKey === key, closeCodes.CREDENTIAL_REVOKED
    )
  }

  endKey (keyId: string): void {
    this.#closeWhere(({ principal }) => isJwt(principal) && principal.keyId === keyId, closeCodes.CREDENTIAL_REVOKED)
  }

  endApiKey (id: string): void {
    this.#closeWhere(({ principal }) => isApiKey(principal) && principal.apiKeyId === id, closeCodes.CREDENTIAL_REVOKED)
  }

  endApplication (id: string): void {
    this.#closeWhere(({ scope }) => scope.applicationId === id, closeCodes.APPLICATION_DELETED)
  }

  /** Compares all holders with the database, after a change of roles. Never rejects. */
  async check (): Promise<void> {
    await Promise.all(this.#watches.map(watch => watch.check()))
  }

  /** Polls for changes by other nodes until `close`. */
  start (): void {
    for (const watch of this.#watches) watch.start()
  }

  close (): void {
    for (const watch of this.#watches) watch.close()
  }

  #closeWhere (...closing: Parameters<CloseWhere>): void {
    for (const closeWhere of this.#closings) closeWhere(...closing)
  }
}
