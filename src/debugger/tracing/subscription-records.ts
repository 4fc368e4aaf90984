import type pg from 'pg'
import { jsonArray, textArray } from '../../../db/arrays.ts'
import { permissionsAt } from '../../identity/access/permissions.ts'
import type { DeliveryObserver } from '../../delivery/delivery-observer.ts'
import { conditionsOf } from '../../delivery/matching/filter.ts'
import type { ClientSubscription, EndReason, Subscriber } from '../../delivery/subscriber.ts'
import { isDatabaseUnavailable } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { BackgroundWriter } from '../../foundation/batching/background-writer.ts'
import { nodeGone } from './node-heartbeat.ts'

/** Limit of records that wait to be stored. Beyond it new ones are dropped and counted. */
const pendingMax = 20_000
const rowsAtOnce = 200
/** Limit of topics per pattern in a record. */
const spansMax = 1000

/** A pending record of a subscription. Without `end`, it is stored with its state at that time. */
interface Note {
  subscription: ClientSubscription
  end: { at: number, reason: string, spans: string } | undefined
}

const upsertSql = `
  insert into trace_subscriptions as s (id, application_id, environment, node, socket_id, principal_id, topic,
    filter, return_mode, permissions, spans, started_at, ended_at, end_reason)
  select id, application_id, environment, $1, socket_id, principal_id, topic, filter, return_mode, permissions,
    spans, started_at, ended_at, end_reason
  from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::json[], $9::text[],
    $10::json[], $11::json[], $12::bigint[], $13::bigint[], $14::text[])
    as k(id, application_id, environment, socket_id, principal_id, topic, filter, return_mode, permissions, spans,
      started_at, ended_at, end_reason)
  on conflict (id) do update set permissions = excluded.permissions, spans = excluded.spans,
    ended_at = excluded.ended_at, end_reason = excluded.end_reason
    where s.ended_at is null or s.end_reason = '${nodeGone}'`

export interface SubscriptionRecordsOptions {
  pool: pg.Pool
  node: string
  metrics: Metrics
  log: { warn (fields: object, message: string): void }
}

/**
 * Records in the background who was subscribed to what, from when to when, and why it ended, so that the debugger can
 * explain past subscriptions. Subscriptions that live on this node are available at once.
 */
export class SubscriptionRecords implements Pick<DeliveryObserver, 'began' | 'ended' | 'refreshed'> {
  readonly #options: SubscriptionRecordsOptions
  readonly #live = new Map<string, ClientSubscription>()
  #changed = new Map<string, Note>()
  readonly #flush = new BackgroundWriter(() => this.#write())

  constructor (options: SubscriptionRecordsOptions) {
    this.#options = options
  }

  began (subscription: ClientSubscription): void {
    this.#live.set(subscription.id, subscription)
    this.#change({ subscription, end: undefined })
  }

  ended (subscription: ClientSubscription, reason: EndReason): void {
    if (!this.#live.delete(subscription.id)) return
    // Regardless of the limit: the subscription is in memory anyway, and without its end it would seem to live.
    this.#changed.set(subscription.id, { subscription, end: { at: Date.now(), reason, spans: spansOf(subscription) } })
    this.#flush.schedule()
  }

  refreshed ({ subscriptions }: Subscriber): void {
    for (const subscription of subscriptions) {
      if (this.#live.has(subscription.id)) this.#change({ subscription, end: undefined })
    }
  }

  /** Stores live subscriptions again, because other nodes may have marked them as ended. */
  tellAnew (): void {
    for (const [id, subscription] of this.#live) this.#changed.set(id, { subscription, end: undefined })
    this.#flush.schedule()
  }

  /** Returns a subscription that lives on this node. */
  find (id: string): ClientSubscription | undefined {
    return this.#live.get(id)
  }

  /** Stores everything collected so far. */
  async flush (): Promise<void> {
    await this.#flush.now()
  }

  async close (): Promise<void> {
    await this.#flush.close()
  }

  #change (note: Note): void {
    const { id } = note.subscription
    if (!this.#changed.has(id) && this.#changed.size >= pendingMax) {
      return this.#options.metrics.tracesDropped.inc({ kind: 'subscription' })
    }
    this.#changed.set(id, note)
    this.#flush.schedule()
  }

  async #write (): Promise<void> {
    while (this.#changed.size > 0) {
      const notes = [...this.#changed.values()].slice(0, rowsAtOnce)
      for (const { subscription } of notes) this.#changed.delete(subscription.id)
      try {
        await this.#store(notes)
        this.#flush.isFailing = false
      } catch (err) {
        if (!this.#flush.isFailing) {
          this.#options.log.warn({ err, records: notes.length }, 'trace_subscriptions.not_stored')
        }
        this.#flush.isFailing = true
        if (!isDatabaseUnavailable(err)) {
          this.#options.metrics.tracesDropped.inc({ kind: 'subscription' }, notes.length)
          continue
        }
        for (const note of notes) if (!this.#changed.has(note.subscription.id)) this.#change(note)
        return
      }
    }
  }

  async #store (notes: readonly Note[]): Promise<void> {
    const { pool, node } = this.#options
    const of = (value: (subscription: ClientSubscription) => string | null) =>
      textArray(notes.map(({ subscription }) => value(subscription)))
    await pool.query({
      name: 'trace_subscriptions_upsert',
      text: upsertSql,
      values: [
        node,
        of(({ id }) => id),
        of(({ subscriber }) => subscriber.scope.applicationId),
        of(({ subscriber }) => subscriber.scope.environment),
        of(({ subscriber }) => subscriber.id),
        of(({ subscriber }) => subscriber.principal.id),
        of(({ topic }) => topic),
        jsonArray(
          notes.map(({ subscription: { filter } }) =>
            filter === undefined ? null : JSON.stringify(conditionsOf(filter))
          )
        ),
        of(({ returnMode }) => returnMode),
        jsonArray(
          notes.map(({ subscription: { subscriber: { principal, scope } } }) =>
            JSON.stringify(permissionsAt(principal, scope).subscribe.patterns)
          )
        ),
        jsonArray(notes.map(({ subscription, end }) => end?.spans ?? spansOf(subscription))),
        notes.map(({ subscription }) => subscription.startedAt),
        notes.map(({ end }) => end?.at ?? null),
        textArray(notes.map(({ end }) => end?.reason ?? null))
      ]
    })
  }
}

function spansOf (subscription: ClientSubscription): string {
  return JSON.stringify(Object.fromEntries(Object.entries(subscription.spans()).slice(0, spansMax)))
}
