import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { PageQuery } from '../../../schemas/common.ts'
import type {
  Mapping, MappingDefinition, MappingVersion, PromoteBody, Promotion, PromotionCheck, RollbackBody
} from '../../../schemas/database.ts'
import { environments, type Environment, type Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import { authorize } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { jsonEqual } from '../../documents/json-equal.ts'
import { ConflictError, NotFoundError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { decodeCursor, toPage, type PageOf } from '../../foundation/paging.ts'
import { findProblems } from './mapping-problems.ts'
import { readMapping, toMapping, type MappingRow } from '../mappings/mapping-rows.ts'
import { isActive } from './mappings.ts'
import type { MappingChanges, Publish } from './mapping-changes.ts'
import type { Sources } from '../threads/source-pool.ts'
import { parseTableName, tableText } from '../mappings/table-name.ts'
import { readTable } from '../source/tables.ts'

export interface PromotionOptions {
  db: Kysely<Database>
  sources: Sources
  changes: MappingChanges
}

/**
 * Manages the versions of mappings and promotes them from one environment to the next. A version never changes. Outside
 * its home environment, a mapping always runs one of its versions.
 */
export function createPromotion ({ db, sources, changes }: PromotionOptions) {
  async function versionOf (trx: Kysely<Database>, row: MappingRow, version: number): Promise<MappingDefinition> {
    const found = await trx.selectFrom('mapping_versions').select('definition').where('mapping_id', '=', row.id).where(
      'version', '=', version
    ).executeTakeFirst()
    if (found === undefined) throw versionNotFound(row, version)
    return JSON.parse(found.definition) as MappingDefinition
  }

  /** Stores what the environment runs as a new version, and makes that version the environment's current one. */
  async function snapshot (trx: Transaction<Database>, row: MappingRow, environment: Environment): Promise<number> {
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

  async function setVersion (
    trx: Transaction<Database>, { id }: MappingRow, environment: Environment, version: number
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
  async function versionsIn (trx: Kysely<Database>, { id }: MappingRow, environment: Environment): Promise<number[]> {
    const row = await trx.selectFrom('mapping_environments').select('versions').where('mapping_id', '=', id).where(
      'environment', '=', environment
    ).executeTakeFirst()
    return row?.versions ?? []
  }

  async function targetVersion (
    trx: Kysely<Database>, { id }: MappingRow, environment: Environment
  ): Promise<number | null> {
    const row = await trx.selectFrom('mapping_environments').select('version').where('mapping_id', '=', id).where(
      'environment', '=', environment
    ).executeTakeFirst()
    return row?.version ?? null
  }

  /** Returns the source's latest version. At home, that is the latest snapshot, and one is taken if none exists. */
  async function sourceVersion (
    trx: Transaction<Database>, row: MappingRow, from: Environment, isDryRun: boolean
  ): Promise<number> {
    if (from !== row.home) return await targetVersion(trx, row, from) as number
    if (row.homeVersion !== null) return row.homeVersion
    return isDryRun ? row.lastVersion + 1 : await snapshot(trx, row, from)
  }

  /**
   * Checks the topic, schema and table in the target environment. No failed check prevents a promotion, because
   * promoting does not enable the mapping.
   */
  async function check (to: Scope, from: Scope, definition: MappingDefinition): Promise<PromotionCheck[]> {
    const topicIn = (scope: Scope) =>
      db.selectFrom('topics').select('active_schema_version as version')
        .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
          'name', '=', definition.topic
        ).executeTakeFirst()
    const [there, here] = await Promise.all([topicIn(to), topicIn(from)])
    const { topic } = definition
    return [
      there === undefined
        ? { name: 'topic', status: 'failed', message: `The topic ${topic} is not registered in ${to.environment}` }
        : { name: 'topic', status: 'ok', message: `The topic ${topic} is registered in ${to.environment}` },
      await schemaCheck({ topic, to, from, there: there?.version ?? null, here: here?.version ?? null }),
      await tableCheck(to, definition)
    ]
  }

  async function schemaCheck (
    { topic, to, from, there, here }: {
      topic: string
      to: Scope
      from: Scope
      there: number | null
      here: number | null
    }
  ): Promise<PromotionCheck> {
    if (there === null) {
      return {
        name: 'schema',
        status: here === null ? 'ok' : 'warning',
        message: `No schema of ${topic} is active in ${to.environment}${
          here === null ? '' : `; in ${from.environment}, version ${here} is active`
        }`
      }
    }
    if (here === null) {
      return {
        name: 'schema',
        status: 'warning',
        message:
          `Version ${there} of the schema of ${topic} is active in ${to.environment}; ${from.environment} has no ` +
            'active schema'
      }
    }
    const textOf = async (scope: Scope, version: number) =>
      (await db.selectFrom('schemas').select('schema')
        .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
          'topic', '=', topic
        ).where('version', '=', version)
        .executeTakeFirst())?.schema ?? 'null'
    const [target, source] = await Promise.all([textOf(to, there), textOf(from, here)])
    if (jsonEqual(JSON.parse(target), JSON.parse(source))) {
      return {
        name: 'schema',
        status: 'ok',
        message: `The active schema of ${topic} is the same in ${to.environment} and ${from.environment}`
      }
    }
    return {
      name: 'schema',
      status: 'warning',
      message:
          `The active schema of ${topic} in ${to.environment} (version ${there}) differs from that in ` +
            `${from.environment} (version ${here})`
    }
  }

  async function tableCheck (to: Scope, definition: MappingDefinition): Promise<PromotionCheck> {
    const name = parseTableName(definition.table)
    const found = await sources.ifPossible(to, async (client, source) => ({
      table: await readTable(client, name), problems: await findProblems(client, source, [definition])
    }))
    if (found === undefined) {
      return {
        name: 'table',
        status: 'warning',
        message: `No database is connected in ${to.environment}, or it cannot be reached now`
      }
    }
    if (found.table === undefined) {
      return {
        name: 'table',
        status: 'failed',
        message: `The database of ${to.environment} has no table ${tableText(name)}`
      }
    }
    const problem = found.problems.get(definition)?.find(({ code }) => code !== 'NOT_PUBLISHED')
    if (problem !== undefined) {
      const { message, sql: statement } = problem
      return { name: 'table', status: 'warning', message, ...(statement !== undefined && { sql: statement }) }
    }
    return {
      name: 'table',
      status: 'ok',
      message: `The database of ${to.environment} has the table ${tableText(name)}`
    }
  }

  return {
    /** Lists versions, newest first. */
    async versions (scope: Scope, id: string, { limit = 100, cursor }: PageQuery): Promise<PageOf<MappingVersion>> {
      const row = await readMapping(db, scope, id)
      let query = db.selectFrom('mapping_versions').selectAll().where('mapping_id', '=', row.id).orderBy(
        'version', 'desc'
      ).limit(limit + 1)
      // Outside its home, a mapping shows only the versions that have run in the environment.
      if (row.version !== null) {
        const seen = await versionsIn(db, row, scope.environment)
        query = query.where(sql<boolean>`version = any(${seen}::int[])`)
      }
      if (cursor !== undefined) {
        query = query.where('version', '<', Math.min(decodeCursor(cursor, ['number'])[0] as number, 2147483647))
      }
      return toPage(
        await query.execute(),
        limit,
        ({ mapping_id: mappingId, version, environment, definition, created_at: createdAt }) => ({
          mappingId, version, environment, definition: JSON.parse(definition) as MappingDefinition, createdAt
        }),
        one => [one.version]
      )
    },

    /** Takes a snapshot of what `environment` runs. */
    async snapshot (
      principal: Principal, scope: Scope, id: string, environment: Environment, by: Origin
    ): Promise<MappingVersion> {
      await readMapping(db, scope, id)
      const place = { ...scope, environment }
      authorize(principal, place, 'database:create')
      return await changes.make(place, async trx => {
        const row = await readMapping(trx, place, id)
        const version = await snapshot(trx, row, environment)
        const { created_at: createdAt } = await trx.selectFrom('mapping_versions').select('created_at').where(
          'mapping_id', '=', id
        ).where('version', '=', version).executeTakeFirstOrThrow()
        await record(trx, by, { action: 'mapping.versioned', resourceId: id, place, after: { version } })
        return { mappingId: id, version, environment, definition: row.definition, createdAt }
      })
    },

    /**
     * Copies the source's latest version to the next environment. Throws ConflictError `VERSION_MISMATCH` when that
     * does not run `expectedVersion`.
     */
    async promote (
      principal: Principal, scope: Scope, id: string, { environment, expectedVersion }: PromoteBody,
      { dryRun = false }: { dryRun?: boolean | undefined }, by: Origin
    ): Promise<Promotion> {
      await readMapping(db, scope, id)
      const from = { ...scope, environment }
      const target = environments[environments.indexOf(environment) + 1]
      if (target === undefined) {
        throw invalid('/environment', `must not be ${environment}: there is no environment to promote to after it`)
      }
      const to = { ...scope, environment: target }
      authorize(principal, from, 'database:read')
      authorize(principal, to, dryRun ? 'database:read' : 'database:update')
      const work = async (trx: Transaction<Database>, publish: Publish) => {
        await trx.selectFrom('mappings').select('id').where('id', '=', id).forUpdate().execute()
        const row = await readMapping(trx, from, id)
        if (row.home === target) {
          throw invalid(
            '/environment',
            `must not be ${environment}: ${target} is the home of the mapping and runs its working copy`
          )
        }
        const previousVersion = await targetVersion(trx, row, target)
        if (expectedVersion !== undefined && (previousVersion ?? 0) !== expectedVersion) {
          throw new ConflictError(
            'VERSION_MISMATCH',
            `${target} runs ${
              previousVersion === null ? 'no version' : `version ${previousVersion}`
            } of ${id}, not ${expectedVersion}`
          )
        }
        const version = await sourceVersion(trx, row, environment, dryRun)
        const definition = version > row.lastVersion && dryRun ? row.definition : await versionOf(trx, row, version)
        const previous = previousVersion === null ? undefined : await versionOf(trx, row, previousVersion)
        if (!dryRun) {
          if (await isActive(trx, id, target)) await publish(definition)
          await setVersion(trx, row, target, version)
          await record(trx, by, {
            action: 'mapping.promoted', resourceId: id, place: to, before: { version: previousVersion },
            after: { version, from: environment }
          })
        }
        return {
          definition,
          previous,
          answer: {
            mappingId: id, dryRun, version, from: environment, to: target, previousVersion,
            diff: diffOf(previous, definition)
          }
        }
      }
      const { definition, previous, answer } = dryRun
        ? await db.transaction().execute(trx => work(trx, async () => {}))
        : await changes.make(to, work)
      if (!dryRun && previous !== undefined && previous.table !== definition.table) {
        await changes.tidy(to, parseTableName(previous.table))
      }
      return { ...answer, checks: await check(to, from, definition) }
    },

    /**
     * Makes an earlier version current again: at home any version, which becomes the working copy; elsewhere one that
     * has run there. Throws NotFoundError `MAPPING_VERSION_NOT_FOUND`.
     */
    async rollback (
      principal: Principal, scope: Scope, id: string, { environment, version }: RollbackBody, by: Origin
    ): Promise<Mapping> {
      await readMapping(db, scope, id)
      const place = { ...scope, environment }
      authorize(principal, place, 'database:update')
      const before = await changes.make(place, async (trx, publish) => {
        const row = await readMapping(trx, place, id)
        // A version that has not run here would be promoted past the environments in between.
        if (environment !== row.home && !(await versionsIn(trx, row, environment)).includes(version)) {
          throw versionNotFound(row, version, environment)
        }
        const definition = await versionOf(trx, row, version)
        if (await isActive(trx, id, environment)) await publish(definition)
        if (environment !== row.home) await setVersion(trx, row, environment, version)
        else {
          await trx.updateTable('mappings').set({
            topic: definition.topic,
            definition: JSON.stringify(definition),
            home_version: version,
            updated_at: Date.now()
          }).where('id', '=', id).execute()
        }
        await record(trx, by, {
          action: 'mapping.rolled_back', resourceId: id, place, before: { version: row.version }, after: { version }
        })
        return { previous: row.definition.table, now: definition.table }
      })
      if (before.previous !== before.now) await changes.tidy(place, parseTableName(before.previous))
      return toMapping(await readMapping(db, place, id))
    }
  }
}
export type MappingPromotion = ReturnType<typeof createPromotion>

const versionNotFound = ({ id }: MappingRow, version: number, environment?: Environment) =>
  new NotFoundError(
    'MAPPING_VERSION_NOT_FOUND',
    `The mapping ${id} has no version ${version}${environment === undefined ? '' : ` that has run in ${environment}`}`
  )

/** Compares two definitions field by field. */
function diffOf (before: MappingDefinition | undefined, after: MappingDefinition): Promotion['diff'] {
  const [from, to] = [before as Record<string, unknown> | undefined ?? {}, after as Record<string, unknown>]
  return [...new Set([...Object.keys(from), ...Object.keys(to)])].filter(key => !jsonEqual(from[key], to[key])).map(
    key => ({
      path: `/${key}`,
      ...(key in from && { from: from[key] }),
      ...(key in to && { to: to[key] })
    })
  )
}
