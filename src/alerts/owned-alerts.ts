import { sql } from 'kysely'
import type { OwnedData } from '../identity/applications/owned-data.ts'

/** The counts of an application. References delete its alerts and rules. */
export const ownedAlerts: OwnedData = {
  delete: async (_trx, applicationId) => async db => {
    await sql`delete from alert_counts where application_id = ${applicationId}`.execute(db)
  }
}
