import type pg from 'pg'
import type { Listeners } from '../delivery/listeners.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import { EndpointIndex, type ListeningRow } from '../delivery/matching/endpoint-index.ts'

/** Event types that are stored only when a webhook listens to them. */
const socketTypes = [
  'socket.message', 'socket.connect', 'socket.disconnect', 'presence.updated'
] as const satisfies readonly EventType[]

/** How far back a poll looks: longer than a transaction may take from reading the clock to its commit. */
const lookBackMs = 60_000
/** Every 300th poll reads everything. */
const fullEvery = 300

const changedSql = `
  select v.application_id, w.id, w.events, w.topics, w.filter, w.environments
  from webhook_versions v
  left join webhooks w on w.application_id = v.application_id and w.active and w.events && $2::text[]
  where v.changed_at > $1`

const ofApplicationSql = `
  select application_id, id, events, topics, filter, environments from webhooks
  where application_id = $1 and active and events && $2::text[]`

type Row = ListeningRow & { application_id: string, id: string | null }

/**
 * Caches which webhooks listen to socket events on this node. Socket events without a listener are never stored. A
 * webhook created on this node takes effect at once, one created on another node with the next poll.
 */
export class SocketListeners implements Listeners {
  readonly #pool: pg.Pool
  readonly #byApplication = new Map<string, EndpointIndex>()
  #polls = 0

  constructor ({ pool }: { pool: pg.Pool }) {
    this.#pool = pool
  }

  hasListeners ({ applicationId, environment }: Scope, topic: string): boolean {
    const match = this.#byApplication.get(applicationId)
    return match !== undefined && match.wants({ applicationId, environment }, topic as EventType, topic)
  }

  /** Reloads an application after a change on this node. */
  async refresh (applicationId: string): Promise<void> {
    const { rows } = await this.#pool.query<Row>({
      name: 'webhooks_socket_listeners', text: ofApplicationSql, values: [applicationId, [...socketTypes, '*']]
    })
    this.#set(applicationId, rows)
  }

  /** Reads recent changes, across tenants on purpose. */
  async poll (now = Date.now()): Promise<void> {
    const isFull = this.#polls++ % fullEvery === 0
    const { rows } = await this.#pool.query<Row>({
      name: 'webhooks_socket_listeners_changed',
      text: changedSql,
      values: [isFull ? 0 : now - lookBackMs, [...socketTypes, '*']]
    })
    const byApplication = new Map<string, Row[]>()
    for (const row of rows) {
      const own = byApplication.get(row.application_id)
      if (own === undefined) byApplication.set(row.application_id, [row])
      else own.push(row)
    }
    if (isFull) for (const id of this.#byApplication.keys()) if (!byApplication.has(id)) this.#byApplication.delete(id)
    for (const [id, own] of byApplication) this.#set(id, own)
  }

  #set (applicationId: string, rows: Row[]): void {
    const match = new EndpointIndex(rows.filter(({ id }) => id !== null))
    if (match.isEmpty) this.#byApplication.delete(applicationId)
    else this.#byApplication.set(applicationId, match)
  }
}
