import { createHash } from 'node:crypto'
import { Kysely, sql, type PostgresCursor, type PostgresPool, type PostgresQueryResult } from 'kysely'
import pg from 'pg'
import { CommitDialect } from './after-commit.ts'
import type { Database } from './tables.ts'

export interface ConnectionOptions {
  connectionString: string
  /** Maximum number of connections. */
  max: number
  applicationName?: string
  /**
   * For large statements that always use an index: each is planned once for all parameters, and never with a sequential
   * scan, although that may be best while the table is still empty.
   */
  plansOnce?: boolean
  /**
   * For migrations, without time limits: building an index on a large table, or waiting for another node's migration,
   * may take long.
   */
  isPatient?: boolean
  onError?: (error: Error) => void
}

const int8Type = 20
const numericType = 1700
const jsonType = 114
const asIs = (text: string) => text

/** Offsets, revisions and epoch milliseconds fit into a double; `json` stays text (see db/tables.ts). */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === int8Type || oid === numericType) return Number
    if (oid === jsonType) return asIs
    return pg.types.getTypeParser(oid, format as 'text')
  }) as typeof pg.types.getTypeParser
}

/**
 * Creates a pool for the platform's own database. Waiting is limited: 5 s for a connection and, unless `isPatient`, 15
 * s for a response. A lost idle connection is reported to `onError` and replaced by the next query.
 */
export function createPool (
  { connectionString, max, applicationName, plansOnce = false, isPatient = false, onError }: ConnectionOptions
): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max,
    types,
    application_name: applicationName ?? 'realtime-platform',
    connectionTimeoutMillis: 5000,
    ...(!isPatient && { query_timeout: 15000, statement_timeout: 15000, idle_in_transaction_session_timeout: 15000 }),
    keepAlive: true,
    ...(plansOnce && { options: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off' }),
    // Statements that are sent together share a round trip (src/events/batch.ts). Statements that are awaited one by
    // one are unaffected.
    pipeline: true
  })
  pool.on('error', error => onError?.(error))
  // A client that breaks between two queries while it is checked out would end the process. Its next query rejects.
  pool.on('connect', client => { client.on('error', () => {}) })
  return pool
}

/** Creates typed queries over the same pool. Each distinct statement is prepared once per connection. */
export function createKysely (pool: pg.Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new CommitDialect({ pool: preparing(pool) }) })
}

/**
 * Limit of prepared statements; further ones are unnamed. Lists of varying length would otherwise grow the server's
 * plan cache without limit.
 */
const preparedStatementsMax = 500
const statementNames = new Map<string, string>()

/** A statement that begins with this comment is not prepared. PostgreSQL plans it each time, for its own values. */
const unpreparedMark = '/* unprepared */'
export const unprepared = sql.raw(unpreparedMark)

function statementName (text: string): string | undefined {
  if (text.startsWith(unpreparedMark)) return undefined
  let name = statementNames.get(text)
  if (name === undefined && statementNames.size < preparedStatementsMax) {
    name = `k${createHash('sha256').update(text).digest('base64url').slice(0, 20)}`
    statementNames.set(text, name)
  }
  return name
}

function preparing (pool: pg.Pool): PostgresPool {
  return {
    async connect () {
      const client = await pool.connect()
      function query<Row> (text: string, values: unknown[]): Promise<PostgresQueryResult<Row>>
      function query (cursor: PostgresCursor<unknown>): never
      function query<Row> (
        text: string | PostgresCursor<unknown>, values: unknown[] = []
      ): Promise<PostgresQueryResult<Row>> {
        if (typeof text !== 'string') throw new TypeError('Cursors are not supported')
        const name = statementName(text)
        const result = client.query(name === undefined ? { text, values } : { name, text, values })
        return result as Promise<PostgresQueryResult<Row>>
      }
      return { query, release: () => client.release() }
    },
    async end () {}
  }
}
