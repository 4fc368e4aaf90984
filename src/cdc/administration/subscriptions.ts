import type { Kysely, Selectable } from 'kysely'
import type { Database, MappingSubscriptionsTable } from '../../../db/tables.ts'
import {
  databaseSubscriptionList, type DatabaseSubscription, type DatabaseSubscriptionQuery,
  type DatabaseSubscriptionWithProblems, type MappingDefinition
} from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import { ConflictError, NotFoundError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import { isValue } from '../../foundation/lists/filters.ts'
import { List, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import type { ReadMappingProblems } from './mapping-problems.ts'
import { readMapping } from '../mappings/mapping-rows.ts'
import type { MappingChanges } from './mapping-changes.ts'
import { parseTableName } from '../mappings/table-name.ts'

export interface DatabaseSubscriptionsOptions {
  db: Kysely<Database>
  changes: MappingChanges
  readProblems: ReadMappingProblems
}

/**
 * Enables and disables mappings in an environment. A transaction that commits after a mapping was enabled makes events;
 * one that commits after it was disabled does not.
 */
export function createDatabaseSubscriptions ({ db, changes, readProblems }: DatabaseSubscriptionsOptions) {
  async function find (trx: Kysely<Database>, scope: Scope, id: string) {
    const row = await trx.selectFrom('mapping_subscriptions').selectAll().where('id', '=', id)
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).executeTakeFirst()
    if (row === undefined) throw new NotFoundError('DATABASE_SUBSCRIPTION_NOT_FOUND', `Subscription not found: ${id}`)
    return row
  }

  async function setActive (scope: Scope, id: string, active: boolean, by: Origin) {
    await find(db, scope, id)
    return await changes.make(scope, async (trx, publish) => {
      const { mapping_id: mappingId } = await find(trx, scope, id)
      const { definition } = await readMapping(trx, scope, mappingId)
      if (active) await publish(definition)
      const row = await trx.updateTable('mapping_subscriptions').set({ active }).where('id', '=', id).returningAll()
        .executeTakeFirstOrThrow()
      await record(trx, by, {
        action: active ? 'database_subscription.activated' : 'database_subscription.deactivated', resourceId: id,
        place: scope, after: toSubscription(row)
      })
      return { subscription: toSubscription(row), definition }
    })
  }

  const withProblems = async (
    scope: Scope, { subscription, definition }: { subscription: DatabaseSubscription, definition: MappingDefinition }
  ): Promise<DatabaseSubscriptionWithProblems> =>
    ({ ...subscription, problems: (await readProblems(scope, [definition])).get(definition) ?? [] })

  return {
    list: async (
      scope: Scope, { mappingId, active, ...query }: DatabaseSubscriptionQuery
    ): Promise<PageOf<DatabaseSubscription>> =>
      await readPage(db, list, query, {
        from: db.selectFrom('mapping_subscriptions').selectAll().where('application_id', '=', scope.applicationId)
          .where('environment', '=', scope.environment),
        where: [isValue('mapping_id', mappingId)],
        filters: [isValue('active', active)],
        toItem: toSubscription
      }),

    /**
     * Enables the mapping in the scope's environment. Throws NotFoundError `MAPPING_NOT_FOUND` and ConflictError
     * `DATABASE_SUBSCRIPTION_EXISTS`; if a database is connected, also the errors of publishing its table.
     */
    async create (scope: Scope, mappingId: string, by: Origin): Promise<DatabaseSubscriptionWithProblems> {
      await readMapping(db, scope, mappingId)
      const created = await changes.make(scope, async (trx, publish) => {
        const { definition } = await readMapping(trx, scope, mappingId)
        const row = await trx.insertInto('mapping_subscriptions')
          .values({
            id: randomId('sub'), application_id: scope.applicationId, environment: scope.environment,
            mapping_id: mappingId, active: true, created_at: Date.now()
          })
          .onConflict(conflict => conflict.doNothing()).returningAll().executeTakeFirst()
        if (row === undefined) {
          throw new ConflictError(
            'DATABASE_SUBSCRIPTION_EXISTS',
            `The mapping ${mappingId} already has a subscription in ${scope.environment}: activate that one`
          )
        }
        await publish(definition)
        await record(trx, by, {
          action: 'database_subscription.created', resourceId: row.id, place: scope, after: toSubscription(row)
        })
        return { subscription: toSubscription(row), definition }
      })
      return await withProblems(scope, created)
    },

    activate: async (scope: Scope, id: string, by: Origin): Promise<DatabaseSubscriptionWithProblems> =>
      await withProblems(scope, await setActive(scope, id, true, by)),

    async deactivate (scope: Scope, id: string, by: Origin): Promise<DatabaseSubscription> {
      const { subscription, definition } = await setActive(scope, id, false, by)
      await changes.tidy(scope, parseTableName(definition.table))
      return subscription
    }
  }
}
const id = text('id')
const list = new List(databaseSubscriptionList, {
  columns: { id, createdAt: number('created_at'), mappingId: text('mapping_id') }, identity: [id]
})

export type DatabaseSubscriptions = ReturnType<typeof createDatabaseSubscriptions>

const toSubscription = (row: Selectable<MappingSubscriptionsTable>): DatabaseSubscription => ({
  id: row.id, mappingId: row.mapping_id, environment: row.environment, active: row.active, createdAt: row.created_at
})
