import type { OwnedData } from '../../identity/applications/owned-data.ts'

/** The topics of an application. Foreign keys delete them with it. */
export const ownedTopics: OwnedData = {
  exists: async (trx, applicationId) =>
    await trx.selectFrom('topics').select('name').where('application_id', '=', applicationId).limit(1)
      .executeTakeFirst() !== undefined
}
