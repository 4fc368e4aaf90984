import { sql, type Kysely, type Selectable } from 'kysely'
import type { Database, TopicsTable } from '../../../db/tables.ts'
import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import {
  topicList, type Topic, type TopicCreate, type TopicQuery, type TopicUpdate
} from '../../../schemas/topics.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import { ConflictError, NotFoundError, ValidationError } from '../../errors.ts'
import { createBatchLoader } from '../../foundation/batching/batch-loader.ts'
import { isValue } from '../../foundation/lists/filters.ts'
import { List, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { existsByItself, isReserved } from './topic-names.ts'

export interface TopicsOptions {
  db: Kysely<Database>
  /** Looks up a version in the schema registry. Default: no version exists. */
  schemaVersionExists?: (scope: Scope, topic: string, version: number) => Promise<boolean>
}

/** Manages the registered topics of a scope. */
export function createTopics ({ db, schemaVersionExists = async () => false }: TopicsOptions) {
  const find = (scope: Scope, name: string) => ofScope(db, scope).where('name', '=', name).executeTakeFirst()

  const isRegistered = createBatchLoader<{ scope: Scope, name: string }, boolean>({
    nameOf: ({ scope, name }) => `${scopeKey(scope)}/${name}`,
    async load (topics) {
      const { rows } = await sql<{ ordinal: number }>`
        select k.ordinal::int from unnest(${topics.map(({ scope }) => scope.applicationId)}::text[], ${
        topics.map(({ scope }) => scope.environment)
      }::text[],
          ${topics.map(({ name }) => name)}::text[]) with ordinality as k(application_id, environment, name, ordinal)
        join topics using (application_id, environment, name)`.execute(db)
      const found = new Set(rows.map(({ ordinal }) => ordinal))
      return topics.map((_topic, i) => found.has(i + 1))
    }
  })

  async function requireTopic (scope: Scope, name: string): Promise<void> {
    if (!(isReserved(name) ? existsByItself(name) : await isRegistered({ scope, name }))) throw topicNotFound(name)
  }

  return {
    /** Registers a topic. Throws ValidationError `TOPIC_RESERVED` or ConflictError `TOPIC_EXISTS`. */
    async create (
      scope: Scope, { name, description, owner, retentionHours = null }: TopicCreate, by: Origin
    ): Promise<Topic> {
      refuseReserved(name)
      const topic = await db.transaction().execute(async trx => {
        const row = await insertTopic(trx, scope, { name, description, owner, retentionHours })
        if (row === undefined) return undefined
        const topic = toTopic(row)
        await record(trx, by, { action: 'topic.created', resourceId: name, place: scope, after: topic })
        return topic
      })
      if (topic !== undefined) return topic
      await requireApplication(db, scope.applicationId)
      throw new ConflictError('TOPIC_EXISTS', `Topic already exists: ${name}`)
    },

    list: async (scope: Scope, { owner, ...query }: TopicQuery): Promise<PageOf<Topic>> =>
      await readPage(db, list, query, {
        from: ofScope(db, scope),
        filters: [isValue('owner', owner)],
        toItem: toTopic
      }),

    async get (scope: Scope, name: string): Promise<Topic> {
      const row = await find(scope, name)
      if (row === undefined) throw topicNotFound(name)
      return toTopic(row)
    },

    /** Changes a topic. Throws NotFoundError `SCHEMA_VERSION_NOT_FOUND` if the version to activate does not exist. */
    async update (
      scope: Scope, name: string, { description, owner, retentionHours, activeSchemaVersion }: TopicUpdate, by: Origin
    ): Promise<Topic> {
      if (
        typeof activeSchemaVersion === 'number' && await find(scope, name) !== undefined &&
        !await schemaVersionExists(scope, name, activeSchemaVersion)
      ) {
        throw new NotFoundError(
          'SCHEMA_VERSION_NOT_FOUND',
          `Schema version not found: ${name} has no version ${activeSchemaVersion}`
        )
      }
      return await db.transaction().execute(async trx => {
        const before = await ofScope(trx, scope).where('name', '=', name).forNoKeyUpdate().executeTakeFirst()
        if (before === undefined) throw topicNotFound(name)
        const row = await trx.updateTable('topics')
          .set({
            ...(description !== undefined && { description }),
            ...(owner !== undefined && { owner }),
            ...(retentionHours !== undefined && { retention_hours: toHours(retentionHours) }),
            ...(activeSchemaVersion !== undefined && { active_schema_version: activeSchemaVersion })
          })
          .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
            'name', '=', name
          )
          .returningAll().executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'topic.updated', resourceId: name, place: scope, before: toTopic(before), after: toTopic(row)
        })
        return toTopic(row)
      })
    },

    /** Deletes a topic and returns it as it was. Its log, schemas, mappings and live subscriptions stay. */
    async remove (scope: Scope, name: string, by: Origin): Promise<Topic> {
      return await db.transaction().execute(async trx => {
        const row = await trx.deleteFrom('topics')
          .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
            'name', '=', name
          )
          .returningAll().executeTakeFirst()
        if (row === undefined) throw topicNotFound(name)
        await record(trx, by, { action: 'topic.deleted', resourceId: name, place: scope, before: toTopic(row) })
        return toTopic(row)
      })
    },

    isRegistered: (scope: Scope, name: string): Promise<boolean> => isRegistered({ scope, name }),

    /** Returns the version that payloads are checked against, or null if there is none or no such topic. */
    async activeSchemaVersion (scope: Scope, name: string): Promise<number | null> {
      return (await find(scope, name))?.active_schema_version ?? null
    },

    /** Throws NotFoundError unless the topic is registered or one of the platform's own. */
    requireTopic
  }
}
export type Topics = ReturnType<typeof createTopics>

export const topicNotFound = (name: string): NotFoundError =>
  new NotFoundError('TOPIC_NOT_FOUND', `Topic not found: ${name}`)

export function refuseReserved (name: string): void {
  if (isReserved(name)) {
    throw new ValidationError(
      'TOPIC_RESERVED',
      `The topic is reserved: ${name}. The roots sync, socket, presence and system belong to the platform`
    )
  }
}

/** Inserts a topic. Returns undefined if the topic exists or the application does not. */
export async function insertTopic (
  db: Kysely<Database>, scope: Scope, { name, description, owner, retentionHours = null }: TopicCreate
): Promise<Selectable<TopicsTable> | undefined> {
  return await db.insertInto('topics')
    .columns(['application_id', 'environment', 'name', 'description', 'owner', 'retention_hours', 'created_at'])
    // Selects from the application's row and locks it, so that the application cannot be deleted meanwhile.
    .expression(eb =>
      eb.selectFrom('applications').where('id', '=', scope.applicationId).forKeyShare().select([
        'id', eb.val(scope.environment).as('environment'), eb.val(name).as('name'),
        eb.val(description).as('description'), eb.val(owner).as('owner'),
        eb.cast<number | null>(eb.val(toHours(retentionHours)), 'integer').as('retention_hours'),
        eb.cast<number>(eb.val(Date.now()), 'bigint').as('created_at')
      ])
    )
    .onConflict(conflict => conflict.doNothing())
    .returningAll().executeTakeFirst()
}

async function requireApplication (db: Kysely<Database>, id: string): Promise<void> {
  const application = await db.selectFrom('applications').select('id').where('id', '=', id).executeTakeFirst()
  if (application === undefined) throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${id}`)
}

const name = text('name')
const list = new List(topicList, {
  columns: { name, createdAt: number('created_at'), description: text('description'), owner: text('owner') },
  identity: [name]
})

const ofScope = (db: Kysely<Database>, scope: Scope) =>
  db.selectFrom('topics').selectAll().where('application_id', '=', scope.applicationId).where(
    'environment', '=', scope.environment
  )

/** Returns the number that the column stores: 0 is for ever. */
const toHours = (retention: Topic['retentionHours']): number | null => retention === 'forever' ? 0 : retention

export function toTopic (row: Selectable<TopicsTable>): Topic {
  return {
    name: row.name,
    description: row.description,
    owner: row.owner,
    activeSchemaVersion: row.active_schema_version,
    retentionHours: row.retention_hours === 0 ? 'forever' : row.retention_hours,
    applicationId: row.application_id,
    environment: row.environment,
    createdAt: row.created_at
  }
}
