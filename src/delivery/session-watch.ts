import type { HeldRole, Principal, SessionPrincipal } from '../auth/principal.ts'
import type { Scope } from '../../schemas/scope.ts'
import { reachesApplication } from '../auth/permissions.ts'
import type { Sessions } from '../auth/sessions.ts'
import { closeCodes, type CloseReason } from './close-codes.ts'

/** How long something may go on as somebody who, on another node, has logged out or lost a role. */
const pollMsDefault = 1000
const sessionsAtOnce = 500

/** Something that stays open on behalf of somebody. */
export interface SessionHolder {
  principal: Principal
  readonly scope: Scope
  close (reason: CloseReason): void
}

export interface SessionWatchOptions<H extends SessionHolder> {
  sessions: Pick<Sessions, 'living'>
  holders (): Iterable<H>
  /** The same person with other roles than before. */
  adopt (holder: H, now: SessionPrincipal): Promise<void> | void
  log: { warn (fields: object, message: string): void }
  pollMs?: number
}

/**
 * Keeps what is open on behalf of people in step with their sessions and roles, whichever node changed them. What belongs to a session
 * that is over is closed; the rest goes on with the roles that there are now. Without anything of people it asks nothing.
 */
export class SessionWatch<H extends SessionHolder> {
  readonly #options: SessionWatchOptions<H>
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isDatabaseAway = false

  constructor (options: SessionWatchOptions<H>) {
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

  /** Never rejects. While the database is away, all goes on as it was. */
  async check (): Promise<void> {
    const watched = [...this.#options.holders()].flatMap(holder =>
      holder.principal.kind === 'session' ? [{ holder, principal: holder.principal }] : [])
    if (watched.length === 0) return
    try {
      const keys = [...new Set(watched.map(({ principal }) => principal.sessionKey))]
      const living = new Map<string, SessionPrincipal>()
      for (let i = 0; i < keys.length; i += sessionsAtOnce) {
        for (const [key, principal] of await this.#options.sessions.living(keys.slice(i, i + sessionsAtOnce))) living.set(key, principal)
      }
      for (const { holder, principal } of watched) {
        // One that was refreshed meanwhile is another's.
        if (holder.principal === principal) await this.#follow(holder, principal, living.get(principal.sessionKey))
      }
      this.#isDatabaseAway = false
    } catch (err) {
      if (!this.#isDatabaseAway && !this.#isClosed) this.#options.log.warn({ err }, 'session_watch.failed')
      this.#isDatabaseAway = true
    }
  }

  async #follow (holder: H, before: SessionPrincipal, now: SessionPrincipal | undefined): Promise<void> {
    if (now === undefined) {
      // Whether it has ended by itself is for the sweep to say.
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

const areSame = (a: readonly HeldRole[], b: readonly HeldRole[]): boolean => a.length === b.length && a.every((role, i) => {
  const other = b[i] as HeldRole
  return role.name === other.name && role.applicationId === other.applicationId &&
    (role.permissions === other.permissions || (role.permissions.covers(other.permissions) && other.permissions.covers(role.permissions)))
})
