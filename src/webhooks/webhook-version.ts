import { sql, type Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { NotFoundError } from '../errors.ts'

/** Serializes the changes to an application's webhooks, and makes the next batch of every node reload them. */
export async function incrementWebhookVersion (trx: Transaction<Database>, applicationId: string): Promise<void> {
  const now = Date.now()
  const counted = await trx.insertInto('webhook_versions')
    .columns(['application_id', 'version', 'changed_at'])
    // Locks the application's row, so that the application cannot be deleted meanwhile.
    .expression(eb =>
      eb.selectFrom('applications').where('id', '=', applicationId).forKeyShare().select([
        'id', eb.cast<number>(eb.val(1), 'bigint').as('version'),
        eb.cast<number>(eb.val(now), 'bigint').as('changed_at')
      ])
    )
    .onConflict(conflict =>
      conflict.column('application_id').doUpdateSet({ version: sql`webhook_versions.version + 1`, changed_at: now })
    )
    .returning('version').executeTakeFirst()
  if (counted === undefined) throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`)
}
