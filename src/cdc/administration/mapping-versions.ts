import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MappingDefinition } from '../../../schemas/database.ts'
import type { Environment } from '../../../schemas/scope.ts'
import { NotFoundError } from '../../errors.ts'
import type { MappingRow } from '../mappings/mapping-rows.ts'

/** Returns the definition of a version. Throws NotFoundError `MAPPING_VERSION_NOT_FOUND`. */
export async function getVersion (
  trx: Kysely<Database>, row: MappingRow, version: number
): Promise<MappingDefinition> {
  const found = await trx.selectFrom('mapping_versions').select('definition').where('mapping_id', '=', row.id).where(
    'version', '=', version
  ).executeTakeFirst()
  if (found === undefined) throw versionNotFound(row, version)
  return JSON.parse(found.definition) as MappingDefinition
}

/** Stores what the environment runs as a new version, and makes that version the environment's current one. */
export async function takeSnapshot (
  trx: Transaction<Database>, row: MappingRow, environment: Environment
): Promise<number> {
  const { last_version: version } = await trx.updateTable('mappings').set(eb => ({
    last_version: eb('last_version', '+', 1)
  }))
    .where('id', '=', row.id).returning('last_version').executeTakeFirstOrThrow()
  await trx.insertInto('mapping_versions')
    .values({
      mapping_id: row.id, version, environment, topic: row.definition.topic,
      definition: JSON.stringify(row.definition), created_at: Date.now()
    }).execute()
  if (environment === row.home) {
    await trx.updateTable('mappings').set({ home_version: version }).where('id', '=', row.id).execute()
  } else await setVersion(trx, row, environment, version)
  return version
}

/** Makes a version the current one of an environment other than the home. */
export async function setVersion (
  trx: Transaction<Database>, { id }: Pick<MappingRow, 'id'>, environment: Environment, version: number
): Promise<void> {
  const values = { mapping_id: id, environment, version, versions: [version], updated_at: Date.now() }
  await trx.insertInto('mapping_environments').values(values)
    .onConflict(conflict =>
      conflict.columns(['mapping_id', 'environment']).doUpdateSet({
        version,
        versions: sql`array_append(array_remove(mapping_environments.versions, excluded.version), excluded.version)`,
        updated_at: values.updated_at
      })
    ).execute()
}

/** Returns the versions that have run in an environment other than the home. */
export async function versionsIn (
  trx: Kysely<Database>, { id }: MappingRow, environment: Environment
): Promise<number[]> {
  const row = await trx.selectFrom('mapping_environments').select('versions').where('mapping_id', '=', id).where(
    'environment', '=', environment
  ).executeTakeFirst()
  return row?.versions ?? []
}

/** Returns the current version of an environment other than the home; null without one. */
export async function currentVersion (
  trx: Kysely<Database>, { id }: MappingRow, environment: Environment
): Promise<number | null> {
  const row = await trx.selectFrom('mapping_environments').select('version').where('mapping_id', '=', id).where(
    'environment', '=', environment
  ).executeTakeFirst()
  return row?.version ?? null
}

/** Returns the source's latest version. At home, that is the latest snapshot, and one is taken if none exists. */
export async function sourceVersion (
  trx: Transaction<Database>, row: MappingRow, from: Environment, isDryRun: boolean
): Promise<number> {
  if (from !== row.home) return await currentVersion(trx, row, from) as number
  if (row.homeVersion !== null) return row.homeVersion
  return isDryRun ? row.lastVersion + 1 : await takeSnapshot(trx, row, from)
}

export const versionNotFound = ({ id }: MappingRow, version: number, environment?: Environment) =>
  new NotFoundError(
    'MAPPING_VERSION_NOT_FOUND',
    `The mapping ${id} has no version ${version}${environment === undefined ? '' : ` that has run in ${environment}`}`
  )
