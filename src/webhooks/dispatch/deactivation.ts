import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { environments, type Environment } from '../../../schemas/scope.ts'
import { system } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import type { Intent, Writer } from '../../events/intent.ts'
import { countUp } from '../endpoints.ts'

export const deactivatedTopic = 'system.webhook.deactivated'

/** Those that a node which ended in between has left to be told by another. */
const untoldAfterMs = 10_000

export type DeactivationReason = 'gone' | 'failing'

export interface DeactivationOptions {
  db: Kysely<Database>
  writer: Writer
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
 * Switches off webhooks that are gone or have done nothing but fail, and tells of it: by a line in the log, and by an
 * event on `system.webhook.deactivated` in each environment that the webhook listened to. The event is written at least
 * once.
 */
export function createDeactivation ({ db, writer, log, onChanged }: DeactivationOptions) {
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
     * What is known of an endpoint counts while it is the webhook's, and failing for as long: it may have been changed
     * meanwhile.
     */
    async deactivate (
      { applicationId, id, url, failingSince }: FailedEndpoint, reason: DeactivationReason
    ): Promise<void> {
      const now = Date.now()
      const webhook = await db.transaction().execute(async trx => {
        await countUp(trx, applicationId)
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

    /** Tells what another node did not come to tell. */
    async tellRest (): Promise<void> {
      const { rows } = await sql<Deactivated>`
        select id, application_id, environments, deactivated_reason, failing_since, updated_at from webhooks
        where deactivation_untold and updated_at < ${Date.now() - untoldAfterMs} limit 10`.execute(db)
      for (const webhook of rows) await tell(webhook)
    }
  }
}
export type Deactivation = ReturnType<typeof createDeactivation>

/** Without the URL, which those who may only read events have no business with. */
function tidings (
  scope: { applicationId: string, environment: Environment },
  { id, deactivated_reason: reason, failing_since: failingSince }: Deactivated
): Intent<void> {
  const payload = { webhookId: id, reason, failingSince }
  return {
    scope,
    topics: [deactivatedTopic],
    // No schema may keep it from being told: it is not checked.
    apply: () => ({
      events: [{
        topic: deactivatedTopic, type: 'topic.event', source: 'api', key: id, payload: JSON.stringify(payload),
        schemaVersion: null
      }]
    }),
    answer: () => {}
  }
}
