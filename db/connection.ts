import { createHash } from 'node:crypto'
import { Kysely } from 'kysely'
import pg from 'pg'
import { CommitDialect } from './after-commit.ts'
import type { Database } from './tables.ts'

export interface ConnectionOptions {
  connectionString: string
  /** Connections at most. */
  max: number
  applicationName?: string
  /**
   * For large statements that always go by an index: each is planned once, whatever its parameters, and never to read a
   * whole table, though that may be the best plan for one that is empty when it is made.
   */
  plansOnce?: boolean
  /** For migrations: an index of a large table, or another node that is at it, takes as long as it takes. */
  isPatient?: boolean
  onError?: (error: Error) => void
}

const INT8 = 20
const NUMERIC = 1700
const JSON_TEXT = 114
const asIs = (text: string) => text

/** Offsets, revisions and epoch milliseconds fit a double; `json` stays text (see db/tables.ts). */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === INT8 || oid === NUMERIC) return Number
    if (oid === JSON_TEXT) return asIs
    return pg.types.getTypeParser(oid, format as 'text')
  }) as typeof pg.types.getTypeParser
}

/**
 * The pool of the platform's own database. Waiting is bounded: 5 s for a connection, and, unless it is patient, 15 s
 * for an answer. A lost idle connection is reported to `onError` and replaced by the next query.
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
    // Statements that are sent together share a round trip (src/events/batch.ts); those that are awaited one by one do
    // not change.
    pipeline: true
  })
  pool.on('error', error => onError?.(error))
  // One that breaks while it is checked out, between two queries, would end the process: its next query rejects.
  pool.on('connect', client => { client.on('error', () => {}) })
  return pool
}

/** Typed queries over the same pool; each distinct statement is prepared once a connection. */
export function createKysely (pool: pg.Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new CommitDialect({ pool: preparing(pool) }) })
}

/**
 * Statements with lists of varying length would grow the server's plan cache without end: beyond this many, unnamed.
 */
const preparedStatementsMax = 500
const statementNames = new Map<string, string>()

function statementName (text: string): string | undefined {
  let name = statementNames.get(text)
  if (name === undefined && statementNames.size < preparedStatementsMax) {
    name = `k${createHash('sha256').update(text).digest('base64url').slice(0, 20)}`
    statementNames.set(text, name)
  }
  return name
}

function preparing (pool: pg.Pool) {
  return {
    async connect () {
      const client = await pool.connect()
      return {
        query (text: string, values: unknown[]) {
          const name = statementName(text)
          return client.query(name === undefined ? { text, values } : { name, text, values })
        },
        release: () => client.release()
      }
    },
    async end () {}
  } as unknown as pg.Pool
}
