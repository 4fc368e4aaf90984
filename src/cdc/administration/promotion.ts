import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import {
  mappingVersionList, type Mapping, type MappingDefinition, type MappingVersion, type MappingVersionQuery,
  type PromoteBody, type Promotion, type RollbackBody
} from '../../../schemas/database.ts'
import { environments, type Environment, type Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import { authorize } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { jsonEqual } from '../../documents/json-equal.ts'
import { ConflictError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { List, number } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { readMapping, toMapping } from '../mappings/mapping-rows.ts'
import { isActive } from './mappings.ts'
import type { MappingChanges, Publish } from './mapping-changes.ts'
import type { SourcePool } from '../threads/source-pool.ts'
import { parseTableName } from '../mappings/table-name.ts'
import {
  currentVersion, getVersion, setVersion, sourceVersion, takeSnapshot, versionNotFound, versionsIn
} from './mapping-versions.ts'
import { checkPromotion } from './promotion-checks.ts'

export interface PromotionOptions {
  db: Kysely<Database>
  sources: SourcePool
  changes: MappingChanges
}

/**
 * Manages the versions of mappings and promotes them from one environment to the next. A version never changes. Outside
 * its home environment, a mapping always runs one of its versions.
 */
export function createPromotion ({ db, sources, changes }: PromotionOptions) {
  return {
    async versions (scope: Scope, id: string, query: MappingVersionQuery): Promise<PageOf<MappingVersion>> {
      const row = await readMapping(db, scope, id)
      // Outside its home, a mapping shows only the versions that have run in the environment.
      const seen = row.version === null ? undefined : await versionsIn(db, row, scope.environment)
      return await readPage(db, list, query, {
        from: db.selectFrom('mapping_versions').selectAll().where('mapping_id', '=', row.id),
        where: [seen && sql<boolean>`version = any(${seen}::int[])`],
        toItem: ({ mapping_id: mappingId, version, environment, definition, created_at: createdAt }) => ({
          mappingId, version, environment, definition: JSON.parse(definition) as MappingDefinition, createdAt
        })
      })
    },

    /** Takes a snapshot of what `environment` runs. */
    async snapshot (
      principal: Principal, scope: Scope, id: string, environment: Environment, by: Origin
    ): Promise<MappingVersion> {
      await readMapping(db, scope, id)
      const place = { ...scope, environment }
      authorize(principal, place, 'mappings:create')
      return await changes.make(place, async trx => {
        const row = await readMapping(trx, place, id)
        const version = await takeSnapshot(trx, row, environment)
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
      authorize(principal, from, 'mappings:read')
      authorize(principal, to, dryRun ? 'mappings:read' : 'mappings:update')
      const work = async (trx: Transaction<Database>, publish: Publish) => {
        await trx.selectFrom('mappings').select('id').where('id', '=', id).forUpdate().execute()
        const row = await readMapping(trx, from, id)
        if (row.home === target) {
          throw invalid(
            '/environment',
            `must not be ${environment}: ${target} is the home of the mapping and runs its working copy`
          )
        }
        const previousVersion = await currentVersion(trx, row, target)
        if (expectedVersion !== undefined && (previousVersion ?? 0) !== expectedVersion) {
          throw new ConflictError(
            'VERSION_MISMATCH',
            `${target} runs ${
              previousVersion === null ? 'no version' : `version ${previousVersion}`
            } of ${id}, not ${expectedVersion}`
          )
        }
        const version = await sourceVersion(trx, row, environment, dryRun)
        const definition = version > row.lastVersion && dryRun ? row.definition : await getVersion(trx, row, version)
        const previous = previousVersion === null ? undefined : await getVersion(trx, row, previousVersion)
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
      return { ...answer, checks: await checkPromotion({ db, sources }, to, from, definition) }
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
      authorize(principal, place, 'mappings:update')
      const before = await changes.make(place, async (trx, publish) => {
        const row = await readMapping(trx, place, id)
        // A version that has not run here would be promoted past the environments in between.
        if (environment !== row.home && !(await versionsIn(trx, row, environment)).includes(version)) {
          throw versionNotFound(row, version, environment)
        }
        const definition = await getVersion(trx, row, version)
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
const version = number('version')
const list = new List(mappingVersionList, {
  columns: { version, createdAt: number('created_at') }, identity: [version]
})

export type MappingPromotion = ReturnType<typeof createPromotion>

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
