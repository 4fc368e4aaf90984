import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { mappingList, type MappingQuery } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { pageOfItems } from '../../foundation/lists/item-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { readMappings, type MappingRow } from './mapping-rows.ts'

/** The values that mappings are sorted by and searched in. */
interface Entry {
  id: string
  table: string
  topic: string
  createdAt: number
  updatedAt: number
}

/**
 * Returns a page of the mappings that a scope sees. What it sees of a mapping depends on where it was promoted, so no
 * index has the order of the page: the values of all mappings are read, and the definitions of those on the page.
 */
export async function readMappingPage (
  db: Kysely<Database>, scope: Scope, { topic, table, ...query }: MappingQuery
): Promise<PageOf<MappingRow>> {
  const { applicationId, environment } = scope
  const { rows } = await sql<Entry>`
    select id, definition ->> 'table' as table, topic, "createdAt", "updatedAt" from (
      select m.id, m.created_at as "createdAt", m.updated_at as "updatedAt",
        case when m.environment = ${environment} then m.topic else v.topic end as topic,
        case when m.environment = ${environment} then m.definition else v.definition end as definition
      from mappings m
      left join mapping_environments e on e.mapping_id = m.id and e.environment = ${environment}
      left join mapping_versions v on v.mapping_id = m.id and v.version = e.version
      where m.application_id = ${applicationId} and (m.environment = ${environment} or v.version is not null)) seen`
    .execute(db)
  const found = rows.filter(entry =>
    (topic === undefined || entry.topic === topic) && (table === undefined || entry.table === table)
  )
  const { items, nextCursor } = pageOfItems(found, mappingList, query, {
    valuesOf: ({ id, table, topic, createdAt, updatedAt }) => ({ id, table, topic, createdAt, updatedAt }),
    idOf: ({ id }) => id
  })
  const ids = items.map(({ id }) => id)
  const mappings = new Map((await readMappings(db, scope, { ids })).map(row => [row.id, row]))
  return { items: ids.flatMap(id => mappings.get(id) ?? []), nextCursor }
}
