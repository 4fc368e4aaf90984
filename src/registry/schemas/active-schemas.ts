import { createHash } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { ConflictError } from '../../errors.ts'
import { version } from '../../foundation/version.ts'
import type { TopicSchema } from './checker-task.ts'

/** Limits the topics of a document about a whole scope. */
export const topicsMax = 10_000

/** Limits the schemas that are in memory at once for one document. */
const pageBytesMax = 256 * 1024
const pageTopicsMax = 200

export interface ActiveTopic { name: string, description: string, version: number | null }

/** The topics of a scope at one moment. Their schemas are read later: a version never changes. */
export class ActiveSchemas {
  readonly topics: readonly ActiveTopic[]
  readonly #db: Kysely<Database>
  readonly #scope: Scope

  private constructor (db: Kysely<Database>, scope: Scope, topics: readonly ActiveTopic[]) {
    this.#db = db
    this.#scope = scope
    this.topics = topics
  }

  /** Reads the registered topics. Throws ConflictError `TOO_MANY_TOPICS` if the scope has more than topicsMax. */
  static async read (db: Kysely<Database>, scope: Scope): Promise<ActiveSchemas> {
    const topics = await db.selectFrom('topics').select(['name', 'description', 'active_schema_version as version'])
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment)
      .orderBy('name').limit(topicsMax + 1).execute()
    if (topics.length > topicsMax) {
      throw new ConflictError(
        'TOO_MANY_TOPICS',
        `The environment has more than ${topicsMax} topics. Read GET /api/schemas?active=true instead, page by page`
      )
    }
    // By code units, which is the same order on every database.
    return new ActiveSchemas(db, scope, topics.sort((a, b) => a.name < b.name ? -1 : 1))
  }

  /** Returns a value that changes with everything that a document of this kind is made from. */
  digest (kind: string): string {
    const { applicationId, environment } = this.#scope
    return createHash('sha256').update(JSON.stringify([version, kind, applicationId, environment, this.topics]))
      .digest('base64url')
  }

  /** Yields all topics with the text of their active schemas, in pages of limited size. */
  async * pages (): AsyncGenerator<TopicSchema[], void> {
    for (let next = 0; next < this.topics.length;) {
      const candidates = this.topics.slice(next, next + pageTopicsMax)
      const found = await this.#load(candidates)
      const cut = candidates.findIndex(({ name, version }) => version !== null && !found.has(name))
      // At least one: its version is missing if the application was deleted meanwhile.
      const page = candidates.slice(0, cut === -1 ? candidates.length : Math.max(1, cut))
      yield page.map(({ name }) => ({ topic: name, schema: found.get(name) ?? null }))
      next += page.length
    }
  }

  /** Returns the schemas of the first topics, by topic: as many as a page may have, and at least one. */
  async #load (topics: readonly ActiveTopic[]): Promise<Map<string, string>> {
    const active = topics.filter(({ version }) => version !== null)
    if (active.length === 0) return new Map()
    const { rows } = await sql<{ topic: string, schema: string }>`
      select topic, schema from (
        select topic, schema, ordinal,
          sum(octet_length(schema::text)) over (order by ordinal) - octet_length(schema::text) as bytes_before
        from unnest(${active.map(({ name }) => name)}::text[], ${active.map(({ version }) => version)}::int[])
          with ordinality as wanted(topic, version, ordinal)
        join schemas using (topic, version)
        where application_id = ${this.#scope.applicationId} and environment = ${this.#scope.environment}
      ) measured
      where bytes_before < ${pageBytesMax} order by ordinal`.execute(this.#db)
    return new Map(rows.map(({ topic, schema }) => [topic, schema]))
  }
}
