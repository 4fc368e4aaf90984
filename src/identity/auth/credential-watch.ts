import type { ApplicationCache } from './application-cache.ts'
import {
  isApiKey, isJwt, type ApiKeyPrincipal, type HeldRole, type Principal, type SessionPrincipal
} from '../access/principal.ts'
import type { PermissionSet } from '../access/permission-set.ts'
import type { ApiKeys } from './api-keys.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { reachesApplication } from '../access/permissions.ts'
import type { Sessions } from './sessions.ts'
import type { SigningKeys } from './signing-keys.ts'
import { closeCodes, type CloseReason } from './close-codes.ts'

/** How often credentials are checked. Bounds how long a holder outlives a change on another node. */
const pollMsDefault = 1000
const askedAtOnce = 500

/** Something that stays open for a principal: a socket, a stream. */
export interface CredentialHolder {
  principal: Principal
  readonly scope: Scope
  close (reason: CloseReason): void
}

export interface CredentialWatchOptions<H extends CredentialHolder> {
  applications: Pick<ApplicationCache, 'living'>
  keys: Pick<SigningKeys, 'isGood'>
  sessions: Pick<Sessions, 'living'>
  apiKeys: Pick<ApiKeys, 'living'>
  holders (): Iterable<H>
  /** Called if the roles of a session have changed, or those of the creator of an API key. */
  adopt (holder: H, now: Principal): Promise<unknown> | void
  log: { warn (fields: object, message: string): void }
  pollMs?: number
}

/**
 * Closes holders whose application, key or session has ended on any node, and gives the others the current rights.
 * Changes on this node are also reported by events at once; the watch covers the other nodes, and holders that open
 * during a change. It makes no queries while nothing is open.
 */
export class CredentialWatch<H extends CredentialHolder> {
  readonly #options: CredentialWatchOptions<H>
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isDatabaseAway = false

  constructor (options: CredentialWatchOptions<H>) {
    this.#options = options
  }

  start (): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(async () => {
      await this.check()
      this.start()
    }, this.#options.pollMs ?? pollMsDefault)
    this.#timer.unref()
  }

  close (): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  /** Checks all holders. Never rejects; while the database is unavailable, holders stay as they are. */
  async check (): Promise<void> {
    const open = [...this.#options.holders()]
    this.#closeRevoked(open)
    try {
      await this.#followApplications(open)
      await this.#followSessions(open)
      await this.#followApiKeys(open)
      this.#isDatabaseAway = false
    } catch (err) {
      if (!this.#isDatabaseAway && !this.#isClosed) this.#options.log.warn({ err }, 'credential_watch.failed')
      this.#isDatabaseAway = true
    }
  }

  #closeRevoked (open: H[]): void {
    for (const holder of open) {
      const { principal } = holder
      if (isJwt(principal) && !this.#options.keys.isGood(principal.keyId)) {
        holder.close(closeCodes.CREDENTIAL_REVOKED)
      }
    }
  }

  async #followApplications (open: H[]): Promise<void> {
    const living = new Set<string>()
    for (const ids of parts(open.map(({ scope }) => scope.applicationId))) {
      for (const id of await this.#options.applications.living(ids)) living.add(id)
    }
    for (const holder of open) if (!living.has(holder.scope.applicationId)) holder.close(closeCodes.APPLICATION_DELETED)
  }

  async #followSessions (open: H[]): Promise<void> {
    const watched = open.flatMap(holder =>
      holder.principal.kind === 'session' ? [{ holder, principal: holder.principal }] : []
    )
    const living = new Map<string, SessionPrincipal>()
    for (const keys of parts(watched.map(({ principal }) => principal.sessionKey))) {
      for (const [key, principal] of await this.#options.sessions.living(keys)) living.set(key, principal)
    }
    for (const { holder, principal } of watched) {
      // Skip a holder whose credential was replaced meanwhile.
      if (holder.principal === principal) await this.#follow(holder, principal, living.get(principal.sessionKey))
    }
  }

  async #followApiKeys (open: H[]): Promise<void> {
    const watched = open.flatMap(holder =>
      isApiKey(holder.principal) ? [{ holder, principal: holder.principal }] : []
    )
    const living = new Map<string, ApiKeyPrincipal>()
    for (const ids of parts(watched.map(({ principal }) => principal.apiKeyId))) {
      for (const [id, principal] of await this.#options.apiKeys.living(ids)) living.set(id, principal)
    }
    for (const { holder, principal: before } of watched) {
      const now = living.get(before.apiKeyId)
      if (holder.principal !== before) continue
      if (now === undefined) {
        // The sweep closes holders whose key has expired.
        if (before.expiresAt > Date.now()) holder.close(closeCodes.CREDENTIAL_REVOKED)
      } else if (!areEqual(before.held, now.held)) {
        await this.#options.adopt(holder, now)
      }
    }
  }

  async #follow (holder: H, before: SessionPrincipal, now: SessionPrincipal | undefined): Promise<void> {
    if (now === undefined) {
      // The sweep closes holders whose session has expired.
      if (before.expiresAt > Date.now()) holder.close(closeCodes.CREDENTIAL_REVOKED)
    } else if (!reachesApplication(now, holder.scope.applicationId)) {
      holder.close(closeCodes.CREDENTIAL_REVOKED)
    } else if (!areSame(before.roles, now.roles)) {
      await this.#options.adopt(holder, now)
    } else if (now.expiresAt !== before.expiresAt) {
      holder.principal = now
    }
  }
}

/** Yields the distinct ids in pieces of the size of one query. */
function * parts (ids: string[]): Iterable<string[]> {
  const distinct = [...new Set(ids)]
  for (let i = 0; i < distinct.length; i += askedAtOnce) yield distinct.slice(i, i + askedAtOnce)
}

const areSame = (a: readonly HeldRole[], b: readonly HeldRole[]): boolean =>
  a.length === b.length && a.every((role, i) => {
    const other = b[i] as HeldRole
    return role.name === other.name && role.applicationId === other.applicationId &&
      areEqual(role.permissions, other.permissions)
  })

const areEqual = (a: PermissionSet, b: PermissionSet): boolean => a === b || (a.covers(b) && b.covers(a))
