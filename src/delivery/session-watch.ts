import type { HeldRole, SessionPrincipal } from '../auth/principal.ts'
import { reachesApplication } from '../auth/permissions.ts'
import type { Sessions } from '../auth/sessions.ts'
import { closeCodes } from './close-codes.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import { adopt } from './refresh.ts'

/** How long a socket may go on as somebody who, on another node, has logged out or lost a role. */
const pollMsDefault = 1000
const sessionsAtOnce = 500

export interface SessionWatchOptions {
  sessions: Pick<Sessions, 'living'>
  connections: Pick<Connections, 'all'>
  log: { warn (fields: object, message: string): void }
  pollMs?: number
}

/**
 * Keeps the sockets of people in step with their sessions and roles, whichever node changed them. A socket whose session
 * is over is closed; one whose user may do less goes on with less. Without sockets of people it asks nothing.
 */
export class SessionWatch {
  readonly #options: SessionWatchOptions
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isDatabaseAway = false

  constructor (options: SessionWatchOptions) {
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

  /** Never rejects. While the database is away, sockets go on as they were. */
  async check (): Promise<void> {
    const watched = [...this.#options.connections.all()].flatMap(connection =>
      connection.principal.kind === 'session' ? [{ connection, principal: connection.principal }] : [])
    if (watched.length === 0) return
    try {
      const keys = [...new Set(watched.map(({ principal }) => principal.sessionKey))]
      const living = new Map<string, SessionPrincipal>()
      for (let i = 0; i < keys.length; i += sessionsAtOnce) {
        for (const [key, principal] of await this.#options.sessions.living(keys.slice(i, i + sessionsAtOnce))) living.set(key, principal)
      }
      for (const { connection, principal } of watched) {
        // One that was refreshed meanwhile is another's.
        if (connection.principal === principal) await follow(connection, principal, living.get(principal.sessionKey))
      }
      this.#isDatabaseAway = false
    } catch (err) {
      if (!this.#isDatabaseAway && !this.#isClosed) this.#options.log.warn({ err }, 'session_watch.failed')
      this.#isDatabaseAway = true
    }
  }
}

async function follow (connection: Connection, before: SessionPrincipal, now: SessionPrincipal | undefined): Promise<void> {
  if (now === undefined) {
    // Whether it has ended by itself is for the sweep to say.
    if (before.expiresAt > Date.now()) connection.close(closeCodes.CREDENTIAL_REVOKED)
  } else if (!reachesApplication(now, connection.scope.applicationId)) {
    connection.close(closeCodes.CREDENTIAL_REVOKED)
  } else if (!areSame(before.roles, now.roles)) {
    await adopt(connection, now)
  } else if (now.expiresAt !== before.expiresAt) {
    connection.principal = now
  }
}

const areSame = (a: readonly HeldRole[], b: readonly HeldRole[]): boolean => a.length === b.length && a.every((role, i) => {
  const other = b[i] as HeldRole
  return role.name === other.name && role.applicationId === other.applicationId &&
    (role.permissions === other.permissions || (role.permissions.covers(other.permissions) && other.permissions.covers(role.permissions)))
})
