import type { ApplicationPresence } from '../applications/presence.ts'
import type { HeldRole, SessionPrincipal } from '../auth/principal.ts'
import { reachesApplication } from '../auth/permissions.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { SigningKeys } from '../auth/signing-keys.ts'
import { closeCodes } from './close-codes.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import { adopt } from './refresh.ts'

/** How long a socket may go on when what it lives by was ended on another node. */
const pollMsDefault = 1000
const askedAtOnce = 500

export interface CredentialWatchOptions {
  presence: Pick<ApplicationPresence, 'living'>
  keys: Pick<SigningKeys, 'isGood'>
  sessions: Pick<Sessions, 'living'>
  connections: Pick<Connections, 'all'>
  log: { warn (fields: object, message: string): void }
  pollMs?: number
}

/**
 * Keeps sockets in step with what they live by, whichever node changed it: one whose application, key or session is gone
 * is closed, one whose user may do less goes on with less. What changes on this node is told at once, by events; this is
 * for the other nodes, and for a socket that was opened in the very moment. Without sockets it asks nothing.
 */
export class CredentialWatch {
  readonly #options: CredentialWatchOptions
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isDatabaseAway = false

  constructor (options: CredentialWatchOptions) {
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
    const open = [...this.#options.connections.all()]
    this.#closeRevoked(open)
    try {
      await this.#followApplications(open)
      await this.#followSessions(open)
      this.#isDatabaseAway = false
    } catch (err) {
      if (!this.#isDatabaseAway && !this.#isClosed) this.#options.log.warn({ err }, 'credential_watch.failed')
      this.#isDatabaseAway = true
    }
  }

  #closeRevoked (open: Connection[]): void {
    for (const connection of open) {
      const { principal } = connection
      if (principal.kind === 'token' && !this.#options.keys.isGood(principal.keyId)) connection.close(closeCodes.CREDENTIAL_REVOKED)
    }
  }

  async #followApplications (open: Connection[]): Promise<void> {
    const living = new Set<string>()
    for (const ids of parts(open.map(({ scope }) => scope.applicationId))) {
      for (const id of await this.#options.presence.living(ids)) living.add(id)
    }
    for (const connection of open) if (!living.has(connection.scope.applicationId)) connection.close(closeCodes.APPLICATION_DELETED)
  }

  async #followSessions (open: Connection[]): Promise<void> {
    const watched = open.flatMap(connection => connection.principal.kind === 'session' ? [{ connection, principal: connection.principal }] : [])
    const living = new Map<string, SessionPrincipal>()
    for (const keys of parts(watched.map(({ principal }) => principal.sessionKey))) {
      for (const [key, principal] of await this.#options.sessions.living(keys)) living.set(key, principal)
    }
    for (const { connection, principal } of watched) {
      // One that was refreshed meanwhile is another's.
      if (connection.principal === principal) await follow(connection, principal, living.get(principal.sessionKey))
    }
  }
}

/** The distinct ones, as many at a time as one query is asked for. */
function * parts (ids: string[]): Iterable<string[]> {
  const distinct = [...new Set(ids)]
  for (let i = 0; i < distinct.length; i += askedAtOnce) yield distinct.slice(i, i + askedAtOnce)
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
