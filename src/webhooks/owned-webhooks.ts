import type { OwnedData } from '../identity/applications/owned-data.ts'
import { deleteDeliveries } from './delete-deliveries.ts'

/** The webhooks of an application. Foreign keys delete them with it; their deliveries follow in batches. */
export const ownedWebhooks: OwnedData = {
  exists: async (trx, applicationId) =>
    await trx.selectFrom('webhooks').select('id').where('application_id', '=', applicationId).limit(1)
      .executeTakeFirst() !== undefined,

  delete: async (_trx, applicationId) => async db => { await deleteDeliveries(db, applicationId) }
}
