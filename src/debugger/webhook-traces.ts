import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { WebhookDeliveryTrace } from '../../schemas/debugger.ts'
import { createBatchLoader } from '../foundation/batching/batch-loader.ts'
import type { Within } from '../webhooks/endpoint-rows.ts'
import { deliveryId } from '../webhooks/dispatch/endpoint-worker.ts'
import type { Asker } from './asker.ts'
import type { WebhookCounts } from './traced-event.ts'

/** Deliveries of one event that are shown. */
const deliveriesMax = 200

export interface WebhookTracesOptions {
  db: Kysely<Database>
  /** Resolves once every event committed before the call has its deliveries. */
  catchUp (): Promise<void>
}

/** A scope; `within` limits it to the webhooks of one environment. */
export type WebhookView = Pick<Asker, 'scope' | 'within'>

const ofWithin = (within: Within) =>
  within === undefined
    ? sql<boolean>`true`
    : sql<boolean>`webhook_id in (select id from webhooks where environments = array[${within}])`

/** Reads the webhook deliveries of events. */
export function createWebhookTraces ({ db, catchUp }: WebhookTracesOptions) {
  // Many streams call this often; concurrent calls share one run.
  const together = createBatchLoader<'outbox', undefined>({
    nameOf: key => key,
    load: async keys => {
      await catchUp()
      return keys.map(() => undefined)
    }
  })

  return {
    /** Resolves once every event committed before the call has its deliveries. Call it before the other functions. */
    async catchUp (): Promise<void> {
      await together('outbox')
    },

    /** Returns counts by event. Omits events without deliveries. */
    async counts ({ scope, within }: WebhookView, eventIds: readonly string[]): Promise<Map<string, WebhookCounts>> {
      const found = new Map<string, WebhookCounts>()
      if (eventIds.length === 0) return found
      const { rows } = await sql<{ event_id: string, state: keyof WebhookCounts, count: number }>`
        select event_id, state, count(*) as count from webhook_deliveries
        where event_id = any(${eventIds}) and application_id = ${scope.applicationId}
          and environment = ${scope.environment} and ${
        ofWithin(within)
      } group by event_id, state`.execute(db)
      for (const { event_id: id, state, count } of rows) {
        const known = found.get(id) ?? { pending: 0, delivered: 0, dead: 0 }
        known[state] += count
        found.set(id, known)
      }
      return found
    },

    /** Returns deliveries with their attempts, oldest first, of one webhook or of all. */
    async deliveries (
      { scope, within }: WebhookView, eventId: string, webhookId?: string
    ): Promise<WebhookDeliveryTrace[]> {
      let query = db.selectFrom('webhook_deliveries').selectAll()
        .where('event_id', '=', eventId).where('application_id', '=', scope.applicationId).where(
          'environment', '=', scope.environment
        ).where(ofWithin(within)).orderBy('seq').limit(deliveriesMax)
      if (webhookId !== undefined) query = query.where('webhook_id', '=', webhookId)
      const rows = await query.execute()
      const attempts = rows.length === 0
        ? []
        : await db.selectFrom('webhook_attempts').selectAll().where('delivery_id', 'in', rows.map(({ id }) => id))
          .orderBy('seq').execute()
      return rows.map(row => ({
        deliveryId: deliveryId(row.id),
        webhookId: row.webhook_id,
        state: row.state,
        createdAt: row.created_at,
        nextAttemptAt: row.state === 'pending' ? row.next_at : null,
        settledAt: row.settled_at,
        replayOf: row.replay_of,
        attempts: attempts.filter(attempt => attempt.delivery_id === row.id).map(attempt => ({
          at: attempt.attempted_at,
          attempt: attempt.attempt,
          success: attempt.success,
          statusCode: attempt.status_code,
          error: attempt.error,
          durationMs: attempt.duration_ms
        }))
      }))
    }
  }
}
export type WebhookTraces = ReturnType<typeof createWebhookTraces>
