import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { environments, type Environment } from '../../../schemas/scope.ts'
import { system } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import type { Intent, Writer } from '../../events/intent.ts'
import { incrementWebhookVersion } from '../webhook-version.ts'

export const deactivatedTopic = 'system.webhook.deactivated'

/** Age after which another node publishes the event of a deactivation, in case the first node ended before it could. */
const untoldAfterMs = 10_000

export type DeactivationReason = 'gone' | 'failing'

export interface DeactivationOptions {
  db: Kysely<Database>
  writer: Writer
  /** The clock that all nodes share. */
  now: () => number
  log: { warn (fields: object, message: string): void }
  onChanged (applicationId: string, webhookId: string): Promise<void>
}

export interface FailedEndpoint { applicationId: string, id: string, url: string, failingSince: number | null }

interface Deactivated {
  id: string
  application_id: string
  environments: Environment[] | null
  deactivated_reason: string | null
  failing_since: number | null
  updated_at: number
}

/**
 * Deactivates webhooks whose endpoint is gone or has failed for days. Reports each with a log line and an event on
 * `system.webhook.deactivated` in each environment that the webhook listens to. The event is published at least once.
 */
export function createDeactivation ({ db, writer, now: clock, log, onChanged }: DeactivationOptions) {
  async function tell (webhook: Deactivated): Promise<void> {
    for (const environment of webhook.environments ?? environments) {
      await writer.submit(tidings({ applicationId: webhook.application_id, environment }, webhook))
    }
    await db.updateTable('webhooks').set({ deactivation_untold: false }).where('id', '=', webhook.id).where(
      'updated_at', '=', webhook.updated_at
    ).execute()
  }

  return {
    /**
     * Deactivates the webhook unless its URL, or for `failing` its time of first failure, has changed since the caller
     * read it.
     */
    async deactivate (
      { applicationId, id, url, failingSince }: FailedEndpoint, reason: DeactivationReason
    ): Promise<void> {
      const now = clock()
      const webhook = await db.transaction().execute(async trx => {
        await incrementWebhookVersion(trx, applicationId)
        const row = await trx.updateTable('webhooks').set({
          active: false, deactivated_reason: reason, deactivation_untold: true, updated_at: now
        })
          .where('id', '=', id).where('active', '=', true).where('url', '=', url)
          .$if(reason === 'failing', query => query.where('failing_since', '=', failingSince))
          .returning(['id', 'application_id', 'environments', 'deactivated_reason', 'failing_since', 'updated_at'])
          .executeTakeFirst()
        if (row !== undefined) {
          await record(trx, system, {
            action: 'webhook.deactivated', resourceId: id, place: { applicationId },
            after: { active: false, deactivatedReason: reason }
          })
        }
        return row
      })
      if (webhook === undefined) return
      log.warn({ webhookId: id, applicationId, reason, failingSince: webhook.failing_since }, 'webhook.deactivated')
      await onChanged(applicationId, id)
      await tell(webhook)
    },

    /** Publishes the events of deactivations that another node left unpublished. */
    async tellRest (): Promise<void> {
      const { rows } = await sql<Deactivated>`
        select id, application_id, environments, deactivated_reason, failing_since, updated_at from webhooks
        where deactivation_untold and updated_at < ${clock() - untoldAfterMs} limit 10`.execute(db)
      for (const webhook of rows) await tell(webhook)
    }
  }
}
export type Deactivation = ReturnType<typeof createDeactivation>

/** Builds the event without the URL, which a principal that may only read events must not see. */
function tidings (
  scope: { applicationId: string, environment: Environment },
  { id, deactivated_reason: reason, failing_since: failingSince }: Deactivated
): Intent<void> {
  const payload = { webhookId: id, reason, failingSince }
  return {
    scope,
    topics: [deactivatedTopic],
    // Without a schema check: no schema of the tenant may block this event.
    apply: () => ({
      events: [{
        topic: deactivatedTopic, type: 'topic.event', source: 'api', key: id, payload: JSON.stringify(payload),
        schemaVersion: null
      }]
    }),
    answer: () => {}
  }
}
