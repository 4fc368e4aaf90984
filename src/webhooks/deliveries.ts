import { sql, type Kysely, type Selectable } from 'kysely'
import type { Database, WebhookAttemptsTable, WebhookDeliveriesTable } from '../../db/tables.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import {
  attemptList, deliveryList, type DeliveriesQuery, type DeliveryState, type LogsQuery, type Redrive,
  type RedriveAnswer, type StatusClass, type WebhookDelivery, type WebhookDeliveryDetails, type WebhookLog
} from '../../schemas/webhooks.ts'
import { permissionsAt } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { coversEventSql } from '../identity/access/reading-sql.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import { isBetween, isValue } from '../foundation/lists/filters.ts'
import { List, nullableText, number, text } from '../foundation/lists/list.ts'
import { readPage } from '../foundation/lists/read-page.ts'
import type { PageOf } from '../foundation/paging.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import { readRequest } from './delivery-request.ts'
import { webhookNotFound, withinOf, type Within } from './endpoint-rows.ts'
import { deliveryId } from './dispatch/endpoint-worker.ts'
import { openLanesSql } from './dispatch/lanes.ts'
import type { Outbox } from './dispatch/outbox.ts'

/** Rows per statement of a redrive, and the limit of one request. */
const redriveRows = 2000
const redriveMax = 100_000
/** Attempts that the details of a delivery contain. */
const attemptsShown = 100

export interface DeliveriesOptions {
  db: Kysely<Database>
  outbox: Outbox
  encryption: Encryption
  /** Wakes the dispatcher, because deliveries became due. */
  wake (): void
  now: () => number
}

/**
 * Reads, retries and redrives the deliveries of an application, and reads its log of attempts. Results contain only
 * events that the principal may read: with a known filter, the existence of a delivery reveals something about the
 * payload, and an endpoint's response may repeat it. A pinned token sees the webhooks of its environment only. Calls
 * without a principal come from the platform itself and see everything.
 */
export function createDeliveries ({ db, outbox, encryption, wake, now: clock }: DeliveriesOptions) {
  async function find (scope: Scope, id: string, principal: Principal | undefined) {
    const { within, covered } = viewOf(scope, principal, 'd')
    let query = db.selectFrom('webhook_deliveries as d').innerJoin('webhooks as w', 'w.id', 'd.webhook_id').selectAll(
      'd'
    ).select('w.active')
      .where('d.id', '=', uuidOf(id)).where('d.application_id', '=', scope.applicationId)
    if (within !== undefined) {
      query = query.where('d.environment', '=', within).where(sql<boolean>`w.environments = array[${within}]`)
    }
    if (covered !== undefined) query = query.where(covered)
    const row = await query.executeTakeFirst()
    if (row === undefined) throw new NotFoundError('WEBHOOK_DELIVERY_NOT_FOUND', `Delivery not found: ${id}`)
    return row
  }

  /** Selects the webhooks that a pinned token may see: those that listen to its environment and to no other. */
  const visible = ({ applicationId }: Scope, within: Environment) =>
    db.selectFrom('webhooks').select('id').where('application_id', '=', applicationId).where(
      sql<boolean>`environments = array[${within}]`
    )

  return {
    /** Resolves once every event committed before the call has its deliveries. */
    catchUp: () => outbox.catchUp(),

    /** Throws NotFoundError `WEBHOOK_NOT_FOUND` or ConflictError `WEBHOOK_INACTIVE`. */
    requireActive: (scope: Scope, webhookId: string, within: Within) => requireActive(db, scope, webhookId, within),

    async list (
      scope: Scope,
      { webhookId, event, eventId, topic, environment, statusClass, state, from, to, ...query }: DeliveriesQuery,
      principal?: Principal
    ): Promise<PageOf<WebhookDelivery>> {
      const { within, covered } = viewOf(scope, principal, 'webhook_deliveries')
      // Recently committed events may still be in the outbox.
      await outbox.catchUp()
      return await readPage(db, listedDeliveries, query, {
        from: db.selectFrom('webhook_deliveries').selectAll(),
        where: [
          isValue('event_id', eventId), isBetween('created_at', from, to),
          // With this expression instead of the column, the planner uses the index on dead deliveries only here.
          state === 'dead'
            ? sql<boolean>`application_id || '/dead' = ${`${scope.applicationId}/dead`} and state = 'dead'`
            : isValue('application_id', scope.applicationId)
        ],
        filters: [
          isValue('state', state), isValue('webhook_id', webhookId), isValue('event_type', event),
          isValue('topic', topic), isValue('environment', environment), hasStatus(statusClass), covered,
          isValue('environment', within),
          within === undefined ? undefined : sql<boolean>`webhook_id in ${visible(scope, within)}`
        ],
        toItem: toDelivery
      })
    },

    /** Returns a delivery with its request and attempts. Throws NotFoundError `WEBHOOK_DELIVERY_NOT_FOUND`. */
    async get (scope: Scope, id: string, principal?: Principal): Promise<WebhookDeliveryDetails> {
      await outbox.catchUp()
      const row = await find(scope, id, principal)
      const attempts = await db.selectFrom('webhook_attempts').selectAll().where('delivery_id', '=', row.id)
        .orderBy('seq', 'desc').limit(attemptsShown).execute()
      return { ...toDelivery(row), request: await readRequest(db, encryption, row, attempts), log: attempts.map(toLog) }
    },

    async logs (
      scope: Scope, { webhookId, event, success, deliveryId, from, to, ...query }: LogsQuery, principal?: Principal
    ): Promise<PageOf<WebhookLog>> {
      const { within, covered } = viewOf(scope, principal, 'd')
      return await readPage(db, listedAttempts, query, {
        from: db.selectFrom('webhook_attempts').selectAll().where('application_id', '=', scope.applicationId),
        where: [
          isValue('delivery_id', deliveryId === undefined ? undefined : uuidOf(deliveryId)),
          isBetween('attempted_at', from, to)
        ],
        filters: [
          isValue('webhook_id', webhookId), isValue('event_type', event), isValue('success', success),
          isValue('environment', within),
          within === undefined ? undefined : sql<boolean>`webhook_id in ${visible(scope, within)}`,
          // Attempts without a delivery are tests; they contain no event.
          covered === undefined
            ? undefined
            : sql<
              boolean
            >`(delivery_id is null or exists (select 1 from webhook_deliveries d
              where d.id = delivery_id and ${covered}))`
        ],
        toItem: toLog
      })
    },

    /**
     * Schedules the delivery again, due now. A settled delivery starts a new schedule of retries; a pending one keeps
     * its place and its failures. A delivery whose attempt is in progress stays as it is.
     * Throws NotFoundError `WEBHOOK_DELIVERY_NOT_FOUND` or ConflictError `WEBHOOK_INACTIVE`.
     */
    async retry (scope: Scope, id: string, principal?: Principal): Promise<WebhookDelivery> {
      const { active, webhook_id: webhookId, seq } = await find(scope, id, principal)
      if (!active) throw inactive(webhookId)
      const now = clock()
      await sql`
        with moved as (
          update webhook_deliveries set state = 'pending', next_at = ${now}, settled_at = null,
            failures = case when state = 'pending' then failures else 0 end,
            position = case when state = 'pending' then position else nextval('webhook_positions') end
          where seq = ${seq} and (state <> 'pending' or lease_until <= ${now})
          returning webhook_id, lane, next_at)
        ${sql.raw(openLanesSql)}`.execute(db)
      wake()
      return toDelivery(await find(scope, id, principal))
    },

    /**
     * Schedules dead deliveries of active webhooks again, oldest first. Where a webhook orders by key, they queue
     * behind the pending deliveries of the key. Throws NotFoundError `WEBHOOK_NOT_FOUND` or ConflictError
     * `WEBHOOK_INACTIVE` for a given `webhookId`.
     */
    async redrive (
      scope: Scope, { webhookId, from = 0, to = Number.MAX_SAFE_INTEGER, dryRun = false, ...filters }: Redrive,
      principal?: Principal
    ): Promise<RedriveAnswer> {
      const { within, covered } = viewOf(scope, principal, 'd')
      if (webhookId !== undefined) await requireActive(db, scope, webhookId, within)
      const { event = null, eventId = null, topic = null, environment = null, statusClass } = filters
      const isUntried = statusClass === 'none'
      const first = statusClass === undefined || isUntried ? null : Number(statusClass[0]) * 100
      const chosen = sql`and (${event}::text is null or d.event_type = ${event})
        and (${eventId}::text is null or d.event_id::text = ${eventId}::text)
        and (${topic}::text is null or d.topic = ${topic})
        and (${environment}::text is null or d.environment = ${environment})
        and (not ${isUntried}::boolean or d.status_code is null and d.attempts > 0)
        and (${first}::integer is null or d.status_code between ${first} and ${first}::integer + 99)`
      const dead = sql`from webhook_deliveries d where d.application_id = ${scope.applicationId} and d.state = 'dead'
        and d.event_at >= ${from} and d.event_at < ${to} ${
        within === undefined ? sql`` : sql`and d.environment = ${within}`
      }
        and d.webhook_id in (select id from webhooks where application_id = ${scope.applicationId} and active
          ${within === undefined ? sql`` : sql`and environments = array[${within}]`} ${
        webhookId === undefined ? sql`` : sql`and id = ${webhookId}`
      })
        ${covered === undefined ? sql`` : sql`and ${covered}`} ${chosen}`
      const { rows: [counted] } = await sql<{ count: number }>`select count(*) as count ${dead}`.execute(db)
      const matched = counted?.count ?? 0
      if (dryRun) return { matched, redriven: 0, remaining: matched }
      // `newest` and `startedAt` exclude deliveries that die during the redrive, so that none is taken twice.
      const { rows: [newest] } = await sql<{ seq: number | null }>`select max(seq) as seq ${dead}`.execute(db)
      const startedAt = clock()
      let redriven = 0
      for (let moved = redriveRows; moved === redriveRows && redriven < redriveMax;) {
        const { rows: [step] } = await sql<{ moved: number }>`
          with moved as (
            update webhook_deliveries u
            set state = 'pending', next_at = ${clock()}::bigint, settled_at = null, failures = 0, position = p.position
            from (select seq, place, nextval('webhook_positions') as position from (
              select d.seq, d.ctid as place ${dead} and d.seq <= ${newest?.seq ?? 0} and d.settled_at <= ${startedAt}
              order by d.seq limit ${redriveRows} for update skip locked) one) p
            where u.ctid = p.place and u.seq = p.seq and u.state = 'dead'
            returning u.webhook_id, u.lane, u.next_at),
          opened as (${sql.raw(openLanesSql)})
          select count(*)::int as moved from moved`.execute(db)
        moved = step?.moved ?? 0
        redriven += moved
        if (moved > 0) wake()
      }
      return { matched, redriven, remaining: Math.max(0, matched - redriven) }
    }
  }
}
export type Deliveries = ReturnType<typeof createDeliveries>

const listedDeliveries = new List(deliveryList, {
  columns: {
    createdAt: number('created_at'), event: text('event_type'), topic: text('topic'), key: nullableText('key'),
    eventId: text('event_id')
  },
  identity: [number('seq')]
})

const listedAttempts = new List(attemptList, {
  columns: {
    deliveredAt: number('attempted_at'), event: text('event_type'), url: text('url'), error: nullableText('error')
  },
  identity: [number('seq')]
})

/** Returns the condition of a class of status, which no attempt has before the first. */
function hasStatus (statusClass: StatusClass | undefined) {
  if (statusClass === undefined) return undefined
  if (statusClass === 'none') return sql<boolean>`status_code is null and attempts > 0`
  const first = Number(statusClass[0]) * 100
  return sql<boolean>`status_code between ${first} and ${first + 99}`
}

/** Returns the conditions that limit a query on deliveries (under the name `table`) to those the principal may see. */
function viewOf ({ applicationId }: Scope, principal: Principal | undefined, table: string) {
  if (principal === undefined) return { within: undefined, covered: undefined }
  return { within: withinOf(principal), covered: coversEventSql(permissionsAt(principal, { applicationId }), table) }
}

async function requireActive (db: Kysely<Database>, scope: Scope, id: string, within: Within): Promise<void> {
  const row = await db.selectFrom('webhooks').select(['active', 'environments']).where('id', '=', id).where(
    'application_id', '=', scope.applicationId
  ).executeTakeFirst()
  const isHidden = within !== undefined && (row?.environments?.length !== 1 || row.environments[0] !== within)
  if (row === undefined || isHidden) {
    throw webhookNotFound(id)
  }
  if (!row.active) throw inactive(id)
}

const inactive = (webhookId: string) =>
  new ConflictError('WEBHOOK_INACTIVE', `Webhook is disabled: ${webhookId}. Activate it first`)

/** Extracts the UUID from a delivery ID: `dlv_` and its 32 digits. */
const uuidOf = (id: string) => id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

export function toDelivery (row: Selectable<WebhookDeliveriesTable>): WebhookDelivery {
  return {
    id: deliveryId(row.id),
    webhookId: row.webhook_id,
    eventId: row.event_id,
    event: row.event_type,
    topic: row.topic,
    offset: row.offset,
    key: row.key,
    environment: row.environment,
    replayOf: row.replay_of,
    state: row.state as DeliveryState,
    attempts: row.attempts,
    nextAttemptAt: row.state === 'pending' ? Math.max(row.next_at, row.lease_until) : null,
    settledAt: row.settled_at,
    statusCode: row.status_code,
    error: row.error,
    createdAt: row.created_at
  }
}

export function toLog (row: Selectable<WebhookAttemptsTable>): WebhookLog {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    deliveryId: row.delivery_id === null ? null : deliveryId(row.delivery_id),
    event: row.event_type,
    url: row.url,
    attempts: row.attempt,
    deliveredAt: row.attempted_at,
    statusCode: row.status_code,
    success: row.success,
    durationMs: row.duration_ms,
    error: row.error,
    responseBody: row.response_body,
    responseHeaders: row.response_headers === null
      ? null
      : JSON.parse(row.response_headers) as Record<string, string>,
    sentAt: row.sent_at
  }
}
