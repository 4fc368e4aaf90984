import { sql } from 'kysely'
import { rowsAtOnce, type OwnedData } from '../identity/applications/owned-data.ts'

/** Deletes the services and documents of an application. */
export const ownedServices: OwnedData = {
  exists: async (trx, applicationId) =>
    await trx.selectFrom('services').select('id').where('application_id', '=', applicationId).limit(1)
      .executeTakeFirst() !== undefined,

  async delete (trx, applicationId) {
    // This lock blocks the creation of documents, which would prevent the deletion of their service.
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
