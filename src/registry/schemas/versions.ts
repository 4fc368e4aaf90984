import { sql, type Kysely, type Selectable } from 'kysely'
import type { Database, SchemasTable } from '../../../db/tables.ts'
import type {
  CompatibilityVerdict, PayloadSample, PayloadValidate, PayloadVerdict, SchemaDryRun, SchemaListQuery, SchemaRegister,
  SchemaVersion, SchemaVersionQuery
} from '../../../schemas/schema-registry.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import {
  IncompatibleSchemaError, NotFoundError, ServiceUnavailableError, ValidationError
} from '../../errors.ts'
import type { GeneratedText } from '../../foundation/http/generated-text.ts'
import { encodeJson } from '../../foundation/json.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { ActiveSchemas } from './active-schemas.ts'
import type { CheckerPool } from './checker-pool.ts'
import type { CompatibilityMode, CompatibilityPolicy } from '../json-schema/compatibility/compatibility-mode.ts'
import { Comparisons, type EarlierVersion } from './comparisons.ts'
import { SchemaError } from '../json-schema/schema-error.ts'
import { storeVersion, toSchemaVersion } from './store-version.ts'
import { readScopeVersions, readTopicVersions } from './version-pages.ts'
import { typeFile } from './type-file.ts'
import type { ValidatorCache } from './validator-cache.ts'

/** Limits the versions that a `…_transitive` mode compares with. */
const earlierMax = 1000

/** The number of attempts of a registration. It starts again if another registration took its number. */
const attemptsMax = 20

export interface SchemaVersionsOptions {
  db: Kysely<Database>
  checker: CheckerPool
  validators: ValidatorCache
  /** Throws NotFoundError unless the topic is registered or one of the platform's own. */
  requireTopic (scope: Scope, topic: string): Promise<void>
}

type Row = Selectable<SchemasTable>

/** Registers the schema versions of a scope's topics, compares them, and validates payloads against them. */
export function createSchemaVersions ({ db, checker, validators, requireTopic }: SchemaVersionsOptions) {
  const ofTopic = (scope: Scope, topic: string) =>
    db.selectFrom('schemas').selectAll()
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
        'topic', '=', topic
      )

  const findLatest = (scope: Scope, topic: string) =>
    ofTopic(scope, topic).orderBy('version', 'desc').limit(1).executeTakeFirst()

  async function latest (scope: Scope, topic: string): Promise<Row> {
    const row = await findLatest(scope, topic)
    if (row !== undefined) return row
    await requireTopic(scope, topic)
    throw new NotFoundError('SCHEMA_NOT_FOUND', `The topic has no schema: ${topic}`)
  }

  async function version (scope: Scope, topic: string, number: number): Promise<Row> {
    const row = await ofTopic(scope, topic).where('version', '=', number).executeTakeFirst()
    if (row !== undefined) return row
    await requireTopic(scope, topic)
    throw new NotFoundError('SCHEMA_VERSION_NOT_FOUND', `Schema version not found: ${topic} has no version ${number}`)
  }

  const comparisons = new Comparisons({
    checker,
    load: async (scope, topic, versions) =>
      await ofTopic(scope, topic).clearSelect().select(['version', 'schema']).where('version', 'in', versions).execute()
  })

  /** Returns the versions that a mode compares with: all or the last. Throws ValidationError if there are too many. */
  async function predecessors (scope: Scope, topic: string, mode: CompatibilityMode): Promise<EarlierVersion[]> {
    const isTransitive = mode.endsWith('_transitive')
    const rows = await ofTopic(scope, topic).clearSelect().select([
      'version',
      sql<number>`octet_length(schema::text)`.as('bytes')
    ])
      .orderBy('version', 'desc').limit(isTransitive ? earlierMax + 1 : 1).execute()
    if (rows.length > earlierMax) throw tooMuchToCompare(topic, mode)
    return rows.reverse()
  }

  async function compare (
    scope: Scope, topic: string, text: string, input: SchemaDryRun, earlier: EarlierVersion[]
  ): Promise<CompatibilityVerdict> {
    const { mode, policy } = termsOf(input)
    const verdict = await orInvalid(comparisons.compare(scope, topic, { schema: text, earlier, mode, policy }))
    return { ...verdict, compatibilityMode: mode, policy }
  }

  return {
    /** Returns versions of a topic, none for one without a schema. Pages of large schemas end early. */
    async list (scope: Scope, topic: string, query: SchemaVersionQuery): Promise<PageOf<SchemaVersion>> {
      const page = await readTopicVersions(db, scope, topic, query)
      if (page.items.length === 0) await requireTopic(scope, topic)
      return page
    },

    listAll: async (scope: Scope, query: SchemaListQuery): Promise<PageOf<SchemaVersion>> =>
      await readScopeVersions(db, scope, query),

    /** Returns the TypeScript file with the types of all topics. */
    async types (scope: Scope): Promise<GeneratedText> {
      const schemas = await ActiveSchemas.read(db, scope)
      return {
        digest: schemas.digest('typescript'), type: 'text/plain; charset=utf-8',
        chunks: typeFile(scope, schemas, checker)
      }
    },

    /**
     * Returns a payload that is valid under the active version of a topic. Throws NotFoundError `SCHEMA_NOT_ACTIVE`, or
     * `SAMPLE_NOT_FOUND` if no payload was found.
     */
    async sample (scope: Scope, topic: string): Promise<PayloadSample> {
      const row = await ofTopic(scope, topic).where('version', '=', ({ selectFrom }) =>
        selectFrom('topics').select('active_schema_version').where('application_id', '=', scope.applicationId)
          .where('environment', '=', scope.environment).where('name', '=', topic)
      ).executeTakeFirst()
      if (row === undefined) {
        await requireTopic(scope, topic)
        throw new NotFoundError('SCHEMA_NOT_ACTIVE', `No version of the schema of ${topic} is active`)
      }
      const sample = await orInvalid(checker.sample(row.schema, scope.applicationId))
      if (sample !== undefined) return { payload: sample.payload, version: row.version }
      throw new NotFoundError(
        'SAMPLE_NOT_FOUND',
        `No payload was found that is valid under version ${row.version} of the schema of ${topic}. Add one to the ` +
          '`examples` of the schema'
      )
    },

    get: async (scope: Scope, topic: string, number: number): Promise<SchemaVersion> =>
      toSchemaVersion(await version(scope, topic, number)),

    latest: async (scope: Scope, topic: string): Promise<SchemaVersion> => toSchemaVersion(await latest(scope, topic)),

    exists: async (scope: Scope, topic: string, number: number): Promise<boolean> =>
      await ofTopic(scope, topic).where('version', '=', number).executeTakeFirst() !== undefined,

    /**
     * Registers the next version. It is compared with its actual predecessors even if several requests register at
     * once. Throws ValidationError `SCHEMA_INVALID`, or IncompatibleSchemaError `SCHEMA_INCOMPATIBLE` with every
     * incompatible change.
     */
    async register (scope: Scope, topic: string, input: SchemaRegister, by: Origin): Promise<SchemaVersion> {
      await requireTopic(scope, topic)
      const text = encodeJson(input.schema, '/schema')
      await orInvalid(checker.compile(text, scope.applicationId))
      const { mode, policy } = termsOf(input)
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const earlier = await predecessors(scope, topic, mode)
        const last = earlier.at(-1)?.version ?? 0
        const verdict = await compare(scope, topic, text, input, earlier)
        if (!verdict.compatible) throw incompatible(topic, verdict)
        const version = {
          version: last + 1, schema: text, compatibility_mode: mode, policy, created_at: Date.now()
        }
        const isActive = input.activate ?? last === 0
        const row = await db.transaction().execute(trx => storeVersion(trx, scope, topic, version, isActive, by))
        if (row !== undefined) return toSchemaVersion(row)
      }
      throw new ServiceUnavailableError(
        'OVERLOADED',
        `Other requests are registering schemas for ${topic} at the same time. Retry after 1 s`,
        { retryAfterS: 1 }
      )
    },

    /** Returns the verdict that `register` would reach, without registering. */
    async compatibility (scope: Scope, topic: string, input: SchemaDryRun): Promise<CompatibilityVerdict> {
      await requireTopic(scope, topic)
      const text = encodeJson(input.schema, '/schema')
      await orInvalid(checker.compile(text, scope.applicationId))
      return await compare(scope, topic, text, input, await predecessors(scope, topic, termsOf(input).mode))
    },

    /**
     * Returns the verdict of a schema that another environment has, and the latest version that it was compared for.
     * That version is null if there is none.
     */
    async compatibilityOf (
      scope: Scope, topic: string, text: string, mode: CompatibilityMode, policy: CompatibilityPolicy
    ): Promise<{ verdict: CompatibilityVerdict, latest: number | null }> {
      const earlier = await predecessors(scope, topic, mode)
      const verdict = await orInvalid(comparisons.compare(scope, topic, { schema: text, earlier, mode, policy }))
      return {
        verdict: { ...verdict, compatibilityMode: mode, policy }, latest: earlier.at(-1)?.version ?? null
      }
    },

    /** Validates a payload against the given version, or the latest. */
    async validate (
      scope: Scope, topic: string, { payload, version: number }: PayloadValidate
    ): Promise<PayloadVerdict> {
      encodeJson(payload, '/payload')
      const row = number === undefined ? await latest(scope, topic) : await version(scope, topic, number)
      const validator = await validators.compiled(scope, topic, row.version, row.schema)
      const errors = validator.validate(payload)
      return { valid: errors.length === 0, version: row.version, errors }
    }
  }
}
export type SchemaVersions = ReturnType<typeof createSchemaVersions>

const termsOf = (
  { compatibilityMode, policy }: SchemaDryRun
): { mode: CompatibilityMode, policy: CompatibilityPolicy } => ({
  mode: compatibilityMode ?? 'backward', policy: policy ?? 'lenient'
})

/** Turns SchemaError into ValidationError: an unusable schema is the caller's mistake. */
async function orInvalid<T> (work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    throw new ValidationError('SCHEMA_INVALID', `The schema cannot be used: ${error.message}`, {
      details: [{ path: `/schema${error.path}`, message: error.sentence }], cause: error
    })
  }
}

function tooMuchToCompare (topic: string, mode: CompatibilityMode): ValidationError {
  const message = `would compare with more than ${earlierMax} versions of ${topic}. Use a mode without _transitive`
  return new ValidationError('VALIDATION_FAILED', `The compatibility mode ${mode} ${message}`, {
    details: [{ path: '/compatibilityMode', message }]
  })
}

function incompatible (topic: string, { changes, compatibilityMode }: CompatibilityVerdict): IncompatibleSchemaError {
  const offending = changes.filter(({ compatible }) => !compatible)
  const versions = [...new Set(offending.map(({ comparedWith }) => comparedWith))]
  const named = versions.slice(0, 10).join(', ') + (versions.length > 10 ? ` and ${versions.length - 10} more` : '')
  return new IncompatibleSchemaError(
    'SCHEMA_INCOMPATIBLE',
    `The schema is not ${compatibilityMode} compatible with version ${named} of ${topic}: ${
      offending[0]?.message ?? ''
    }`,
    { details: offending }
  )
}
