import type { OwnedData } from '../../identity/applications/owned-data.ts'
import { recordLeftoversOf } from '../replication/slot-cleanup.ts'

/**
 * The database connections and mappings of an application. Their slots and publications are recorded for
 * cleanup.
 */
export const ownedConnections: OwnedData = {
  async exists (trx, applicationId) {
    const of = (table: 'cdc_connections' | 'mappings') =>
      trx.selectFrom(table).select('id').where('application_id', '=', applicationId).limit(1).executeTakeFirst()
    return await of('cdc_connections') !== undefined || await of('mappings') !== undefined
  },

  async delete (trx, applicationId) {
    await recordLeftoversOf(trx, applicationId)
    return undefined
  }
}
