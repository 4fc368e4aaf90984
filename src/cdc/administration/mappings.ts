import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type {
  Mapping, MappingCheck, MappingCreate, MappingDefinition, MappingProblem, MappingQuery, MappingUpdate,
  MappingWithProblems
} from '../../../schemas/database.ts'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import { authorize } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { ConflictError, NotFoundError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import { invalid } from '../../foundation/json.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { refuseReserved } from '../../registry/topics/topics.ts'
import { compileMapping, requireColumns, type CompiledMapping } from '../mappings/compiled-mapping.ts'
import type { ReadMappingProblems } from './mapping-problems.ts'
import { readMappingPage } from '../mappings/mapping-page.ts'
import { readMapping, toMapping, type MappingRow } from '../mappings/mapping-rows.ts'
import type { MappingChanges } from './mapping-changes.ts'
import type { SourcePool } from '../threads/source-pool.ts'
import { parseTableName, tableText } from '../mappings/table-name.ts'
import { readTable } from '../source/tables.ts'

export interface MappingsOptions {
  db: Kysely<Database>
  sources: SourcePool
  changes: MappingChanges
  readProblems: ReadMappingProblems
}

/**
 * Manages mappings: which row changes of a connected database become events, and with which payload. An update to an
 * enabled mapping applies to every transaction that commits after the call returns.
 */
export function createMappings ({ db, sources, changes, readProblems }: MappingsOptions) {
  /** Compiles the definition. Checks the table and its columns if the connected database is reachable. */
  async function check (scope: Scope, definition: MappingDefinition): Promise<CompiledMapping> {
    refuseReserved(definition.topic)
    const compiled = compileMapping(definition)
    const table = await sources.ifPossible(scope, client => readTable(client, compiled.table))
    if (table === undefined) return compiled
    if (table.root !== null) {
      throw invalid(
        '/table',
        `must not be a partition: its changes arrive under its table. Use ${tableText(table.root)}`
      )
    }
    requireColumns(compiled, compiled.table, new Set(table.columns.map(({ name }) => name)))
    return compiled
  }

  /** Returns the problems, except the one that enabling the mapping solves. */
  async function problemsOf (scope: Scope, definition: MappingDefinition): Promise<MappingProblem[]> {
    const found: MappingProblem[] = (await readProblems(scope, [definition])).get(definition) ?? []
    return found.filter(({ code }) => code !== 'NOT_PUBLISHED')
  }

  const withProblems = async (
    scope: Scope, mapping: Mapping, definition: MappingDefinition
  ): Promise<MappingWithProblems> => ({ ...mapping, problems: await problemsOf(scope, definition) })

  return {
    async list (scope: Scope, query: MappingQuery): Promise<PageOf<Mapping>> {
      const { items, nextCursor } = await readMappingPage(db, scope, query)
      return { items: items.map(toMapping), nextCursor }
    },

    get: async (scope: Scope, id: string): Promise<Mapping> => toMapping(await readMapping(db, scope, id)),

    /** Checks a definition as `create` does, and stores nothing. */
    async check (scope: Scope, definition: MappingDefinition): Promise<MappingCheck> {
      await check(scope, definition)
      return { problems: await problemsOf(scope, definition) }
    },

    /**
     * Creates a mapping. Its home is the environment of the request, or the one in the body. Throws ValidationError
     * with the path of the invalid field.
     */
    async create (
      principal: Principal, requested: Scope, { environment = requested.environment, ...definition }: MappingCreate,
      by: Origin
    ): Promise<MappingWithProblems> {
      const scope = { ...requested, environment }
      authorize(principal, scope, 'mappings:create')
      await check(scope, definition)
      const now = Date.now()
      const created = await db.transaction().execute(async trx => {
        const row = await trx.insertInto('mappings')
          .columns(['id', 'application_id', 'environment', 'topic', 'definition', 'created_at', 'updated_at'])
          // Selecting from the application's row locks it, so that it cannot be deleted meanwhile.
          .expression(eb =>
            eb.selectFrom('applications').where('id', '=', scope.applicationId).forKeyShare().select([
              eb.val(randomId('map')).as('id'), 'id as application_id', eb.val(environment).as('environment'),
              eb.val(definition.topic).as('topic'),
              eb.cast<string>(eb.val(JSON.stringify(definition)), 'json').as('definition'),
              eb.cast<number>(eb.val(now), 'bigint').as('created_at'),
              eb.cast<number>(eb.val(now), 'bigint').as('updated_at')
            ])
          )
          .returning('id').executeTakeFirst()
        if (row === undefined) {
          throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${scope.applicationId}`)
        }
        const mapping = toMapping(await readMapping(trx, scope, row.id))
        await record(trx, by, { action: 'mapping.created', resourceId: row.id, place: scope, after: mapping })
        return mapping
      })
      return await withProblems(scope, created, definition)
    },

    /**
     * Changes the working copy, and so what its home environment runs. Throws ConflictError `MAPPING_NOT_HOME`
     * elsewhere.
     */
    async update (scope: Scope, id: string, update: MappingUpdate, by: Origin): Promise<MappingWithProblems> {
      const before = requireHome(await readMapping(db, scope, id), scope)
      const compiled = await check(scope, changed(before.definition, update))
      await changes.make(scope, async (trx, publish) => {
        // Read under the scope's lock, so that concurrent updates do not overwrite each other's fields.
        const current = await readMapping(trx, scope, id)
        const definition = changed(current.definition, update)
        if (await isActive(trx, id, scope.environment)) await publish(definition)
        await trx.updateTable('mappings').set({
          topic: definition.topic, definition: JSON.stringify(definition), updated_at: Date.now()
        }).where('id', '=', id).execute()
        await record(trx, by, {
          action: 'mapping.updated', resourceId: id, place: scope, before: toMapping(current),
          after: toMapping(await readMapping(trx, scope, id))
        })
      })
      if (before.definition.table !== compiled.definition.table) {
        await changes.tidy(scope, parseTableName(before.definition.table))
      }
      const row = await readMapping(db, scope, id)
      return await withProblems(scope, toMapping(row), row.definition)
    },

    /**
     * Deletes the mapping. In its home environment this deletes all versions, elsewhere what was promoted there.
     * Returns the deleted mapping.
     * Throws ConflictError `MAPPING_PROMOTED` at home while another environment runs it.
     */
    async remove (scope: Scope, id: string, by: Origin): Promise<Mapping> {
      const row = await readMapping(db, scope, id)
      await changes.make(scope, async trx => {
        await record(trx, by, { action: 'mapping.deleted', resourceId: id, place: scope, before: toMapping(row) })
        if (row.home !== scope.environment) {
          await trx.deleteFrom('mapping_subscriptions').where('mapping_id', '=', id).where(
            'environment', '=', scope.environment
          ).execute()
          await trx.deleteFrom('mapping_environments').where('mapping_id', '=', id).where(
            'environment', '=', scope.environment
          ).execute()
          return
        }
        // The lock keeps the mapping from being promoted meanwhile.
        await trx.selectFrom('mappings').select('id').where('id', '=', id).forUpdate().execute()
        const elsewhere = await trx.selectFrom('mapping_environments').select('environment').where(
          'mapping_id', '=', id
        ).orderBy('environment').execute()
        if (elsewhere.length > 0) {
          throw new ConflictError(
            'MAPPING_PROMOTED',
            `The mapping ${id} runs in ${
              elsewhere.map(({ environment }) => environment).join(', ')
            }: delete it there first`
          )
        }
        await trx.deleteFrom('mappings').where('id', '=', id).execute()
      })
      await changes.tidy(scope, parseTableName(row.definition.table))
      return toMapping(row)
    }
  }
}
export type Mappings = ReturnType<typeof createMappings>

export function requireHome (row: MappingRow, scope: Scope): MappingRow {
  if (row.home !== scope.environment) {
    throw new ConflictError(
      'MAPPING_NOT_HOME',
      `The mapping ${row.id} can only be changed in ${row.home}; ${scope.environment} runs the version that was ` +
        'promoted to it'
    )
  }
  return row
}

export async function isActive (db: Kysely<Database>, mappingId: string, environment: Environment): Promise<boolean> {
  const { rows: [row] } = await sql<{ active: boolean }>`
    select exists (
      select from mapping_subscriptions
      where mapping_id = ${mappingId} and environment = ${environment} and active) as active`
    .execute(db)
  return row?.active === true
}

/** Applies the update: null in the update removes the field. A payload that is stored as null stays. */
function changed (definition: MappingDefinition, update: MappingUpdate): MappingDefinition {
  return Object.fromEntries(
    Object.entries({ ...definition, ...update }).filter(([name]) => update[name as keyof MappingUpdate] !== null)
  ) as MappingDefinition
}
