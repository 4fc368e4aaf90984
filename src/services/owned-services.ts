import { sql } from 'kysely'
import { rowsAtOnce, type OwnedData } from '../identity/applications/owned-data.ts'

/** The services and documents of a deleted application. */
export const ownedServices: OwnedData = {
  exists: async (trx, applicationId) =>
    await trx.selectFrom('services').select('id').where('application_id', '=', applicationId).limit(1)
      .executeTakeFirst() !== undefined,

  async delete (trx, applicationId) {
    // Against this lock nobody creates a document, which would keep its service from being deleted.
    await trx.selectFrom('services').select('id').where('application_id', '=', applicationId).orderBy('name')
      .forUpdate().execute()
    for (let isMore = true; isMore;) {
      const { numAffectedRows = 0n } = await sql`delete from documents where ctid = any(array(
        select ctid from documents where application_id = ${applicationId} limit ${rowsAtOnce}))`.execute(trx)
      isMore = numAffectedRows >= BigInt(rowsAtOnce)
    }
    return undefined
  }
}
