import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { mappingList, type MappingQuery } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { pageOfItems } from '../../foundation/lists/item-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { readMappings, type MappingRow } from './mapping-rows.ts'

/**
 * Returns a page of the mappings that a scope sees. It reads all of them, because no index has the order of the page:
 * what a scope sees of a mapping depends on where it was promoted.
 */
export async function readMappingPage (
  db: Kysely<Database>, scope: Scope, { topic, table, ...query }: MappingQuery
): Promise<PageOf<MappingRow>> {
  const mappings = (await readMappings(db, scope, {})).filter(({ definition }) =>
    (topic === undefined || definition.topic === topic) && (table === undefined || definition.table === table)
  )
  return pageOfItems(mappings, mappingList, query, {
    valuesOf: ({ id, createdAt, updatedAt, definition: { table, topic } }) => ({
      id, createdAt, updatedAt, table, topic
    }),
    idOf: ({ id }) => id
  })
}
