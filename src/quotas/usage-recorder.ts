import type pg from 'pg'
import { textArray } from '../../db/arrays.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { partitionMs } from '../events/partitions.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** How long usage is kept. */
export const usageKept = { hour: 31 * dayMs, day: 400 * dayMs } as const

/** The activity of an application at this node since the last flush. */
interface Pending {
  publishes: number
  bytesWritten: number
  deliveries: number
  documents: number
  socketsPeak: number
  subscriptionsPeak: number
  /** Bytes by the period of their events. */
  bytes: Map<number, number>
}

const usageSql = `
  with given as (
    select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
      $7::bigint[]) as g(application_id, publishes, bytes, deliveries, sockets, subscriptions, documents)),
  periods as (
    select * from unnest($8::text[], $9::bigint[], $10::bigint[]) as p(application_id, period, bytes)),
  stored as (
    insert into application_bytes as b (application_id, period, bytes)
    select p.application_id, p.period, p.bytes from periods p join applications a on a.id = p.application_id
    order by 1, 2
    on conflict (application_id, period) do update set bytes = b.bytes + excluded.bytes
    returning b.application_id, b.period, b.bytes),
  counted as (
    update application_documents d set documents = greatest(0, d.documents + g.documents) from given g
    where d.application_id = g.application_id and g.documents <> 0
    returning d.application_id, d.documents),
  sums as (
    select g.*, coalesce((
        select sum(bytes) from application_bytes b where b.application_id = g.application_id), 0)
      + coalesce((select sum(bytes) from periods p where p.application_id = g.application_id), 0) as bytes_stored,
      coalesce((select documents from counted c where c.application_id = g.application_id),
        (select documents from application_documents d where d.application_id = g.application_id), 0) as documents_now,
      (select count(*) from webhooks w where w.application_id = g.application_id) as webhooks_now,
      coalesce(o.sockets, 0) as sockets_elsewhere, coalesce(o.subscriptions, 0) as subscriptions_elsewhere
    from given g join applications a on a.id = g.application_id
    left join lateral (
      select sum(c.sockets) as sockets, sum(c.subscriptions) as subscriptions
      from quota_node_counts c join quota_nodes n on n.id = c.node_id
      where c.application_id = g.application_id and c.node_id <> $11
        and n.seen_at > clock_timestamp() - interval '10 seconds') o on true)
  insert into application_usage as u (application_id, span, starts_at, publishes, bytes_written, deliveries,
    sockets_peak, subscriptions_peak, bytes_stored, documents, webhooks)
  select s.application_id, t.span, t.starts_at, s.publishes, s.bytes, s.deliveries, s.sockets + s.sockets_elsewhere,
    s.subscriptions + s.subscriptions_elsewhere, s.bytes_stored, s.documents_now, s.webhooks_now
  from sums s cross join (values ('hour', $12::bigint), ('day', $13::bigint)) as t(span, starts_at)
  order by 1, 2
  on conflict (application_id, span, starts_at) do update set
    publishes = u.publishes + excluded.publishes, bytes_written = u.bytes_written + excluded.bytes_written,
    deliveries = u.deliveries + excluded.deliveries, sockets_peak = greatest(u.sockets_peak, excluded.sockets_peak),
    subscriptions_peak = greatest(u.subscriptions_peak, excluded.subscriptions_peak),
    bytes_stored = excluded.bytes_stored, documents = excluded.documents, webhooks = excluded.webhooks`

/** Bytes and documents that have been added to the stored ones, or are about to be. */
interface Added { bytes: number, documents: number }

/** Applications of one statement. */
const applicationsAtOnce = 1000

export interface UsageRecorderOptions {
  pool: pg.Pool
  node: string
  now: () => number
}

/**
 * Counts what the applications of this node do, and adds it to the usage of all nodes in the background. A node that
 * dies loses what it has counted since its last flush. While the database is unavailable, the counts wait in memory.
 */
export class UsageRecorder {
  readonly #options: UsageRecorderOptions
  #pending = new Map<string, Pending>()
  /** Counts that statements have added, or are adding, since the stored ones were last read. */
  readonly #unread = new Map<string, Added>()
  /** Those of them that are committed. */
  readonly #committed = new Map<string, Added>()
  #flushing: Promise<void> | undefined

  constructor (options: UsageRecorderOptions) {
    this.#options = options
  }

  /** Counts events that this node has written. */
  written (events: readonly LoggedEvent[]): void {
    let last: Pending | undefined
    let lastId: string | undefined
    for (const { scope: { applicationId }, payload, diff, meta, type, timestamp } of events) {
      if (last === undefined || applicationId !== lastId) last = this.#of(lastId = applicationId)
      const bytes = Buffer.byteLength(payload) + (diff === undefined ? 0 : Buffer.byteLength(diff)) +
        (meta === undefined ? 0 : Buffer.byteLength(meta))
      const period = timestamp - timestamp % partitionMs
      last.publishes++
      last.bytesWritten += bytes
      last.bytes.set(period, (last.bytes.get(period) ?? 0) + bytes)
      if (type === 'document.created') last.documents++
      else if (type === 'document.deleted') last.documents--
    }
  }

  delivered (applicationId: string, count: number): void {
    if (count > 0) this.#of(applicationId).deliveries += count
  }

  /** Records what is open at this node now. */
  open (applicationId: string, { sockets, subscriptions }: { sockets: number, subscriptions: number }): void {
    const pending = this.#of(applicationId)
    pending.socketsPeak = Math.max(pending.socketsPeak, sockets)
    pending.subscriptionsPeak = Math.max(pending.subscriptionsPeak, subscriptions)
  }

  /** Returns what this node has counted for an application and has not read back among what is stored. */
  unread (applicationId: string): { bytes: number, documents: number } {
    const { bytesWritten = 0, documents = 0 } = this.#pending.get(applicationId) ?? {}
    const added = this.#unread.get(applicationId)
    return { bytes: bytesWritten + (added?.bytes ?? 0), documents: documents + (added?.documents ?? 0) }
  }

  /**
   * Call before reading what is stored. Once it is read, call the returned function: what was committed before the call
   * is part of what was read. Later commits count as unread until the next call.
   */
  reading (): () => void {
    const committed = new Map(this.#committed)
    return () => {
      for (const [applicationId, added] of committed) {
        for (const sums of [this.#unread, this.#committed]) addUp(sums, applicationId, negative(added))
      }
    }
  }

  forget (applicationId: string): void {
    this.#pending.delete(applicationId)
    this.#unread.delete(applicationId)
    this.#committed.delete(applicationId)
  }

  /** Stores the counts of all applications, or of those that are meant. On failure, they are kept for the next time. */
  async flush (isMeant: (applicationId: string) => boolean = () => true): Promise<void> {
    await this.#flushing?.catch(() => {})
    this.#flushing = this.#flush(isMeant)
    await this.#flushing
  }

  async #flush (isMeant: (applicationId: string) => boolean): Promise<void> {
    const meant = [...this.#pending].filter(([applicationId]) => isMeant(applicationId))
    for (let i = 0; i < meant.length; i += applicationsAtOnce) {
      const some = meant.slice(i, i + applicationsAtOnce)
      for (const [applicationId, pending] of some) {
        this.#pending.delete(applicationId)
        addUp(this.#unread, applicationId, addedBy(pending))
      }
      try {
        await this.#store(some)
      } catch (error) {
        for (const [applicationId, pending] of some) {
          addTo(this.#of(applicationId), pending)
          addUp(this.#unread, applicationId, negative(addedBy(pending)))
        }
        throw error
      }
      for (const [applicationId, pending] of some) addUp(this.#committed, applicationId, addedBy(pending))
    }
  }

  async #store (counts: [string, Pending][]): Promise<void> {
    const { pool, node, now: clock } = this.#options
    const now = clock()
    const periods = counts.flatMap(([id, { bytes }]) => [...bytes].map(([period, sum]) => ({ id, period, sum })))
    await pool.query({
      name: 'usage_add',
      text: usageSql,
      values: [
        textArray(counts.map(([id]) => id)),
        counts.map(([, { publishes }]) => publishes),
        counts.map(([, { bytesWritten }]) => bytesWritten),
        counts.map(([, { deliveries }]) => deliveries),
        counts.map(([, { socketsPeak }]) => socketsPeak),
        counts.map(([, { subscriptionsPeak }]) => subscriptionsPeak),
        counts.map(([, { documents }]) => documents),
        textArray(periods.map(({ id }) => id)),
        periods.map(({ period }) => period),
        periods.map(({ sum }) => sum),
        node,
        now - now % hourMs,
        now - now % dayMs
      ]
    })
  }

  #of (applicationId: string): Pending {
    let pending = this.#pending.get(applicationId)
    if (pending === undefined) {
      this.#pending.set(applicationId, pending = {
        publishes: 0, bytesWritten: 0, deliveries: 0, documents: 0, socketsPeak: 0, subscriptionsPeak: 0,
        bytes: new Map()
      })
    }
    return pending
  }
}

function addTo (pending: Pending, more: Pending): void {
  pending.publishes += more.publishes
  pending.bytesWritten += more.bytesWritten
  pending.deliveries += more.deliveries
  pending.documents += more.documents
  pending.socketsPeak = Math.max(pending.socketsPeak, more.socketsPeak)
  pending.subscriptionsPeak = Math.max(pending.subscriptionsPeak, more.subscriptionsPeak)
  for (const [period, bytes] of more.bytes) pending.bytes.set(period, (pending.bytes.get(period) ?? 0) + bytes)
}

const addedBy = ({ bytesWritten, documents }: Pending): Added => ({ bytes: bytesWritten, documents })
const negative = ({ bytes, documents }: Added): Added => ({ bytes: -bytes, documents: -documents })

function addUp (sums: Map<string, Added>, applicationId: string, { bytes, documents }: Added): void {
  const before = sums.get(applicationId)
  const sum = { bytes: (before?.bytes ?? 0) + bytes, documents: (before?.documents ?? 0) + documents }
  if (sum.bytes === 0 && sum.documents === 0) sums.delete(applicationId)
  else sums.set(applicationId, sum)
}
