import pg from 'pg'
import { answerCalls } from '../children.ts'
import type { RequestsRound } from './requests.ts'

/*
 * Writes the rows of the platform's log without the platform: no HTTP, offsets, checks or responses. `pg` alone writes
 * the same bytes with multi-row INSERTs, on as many connections as help.
 */

const columns = ['id', 'application_id', 'environment', 'topic', 'type', 'source', 'key', 'payload', 'created_at']
const inFlight = 4

let pool: pg.Pool
let statement: { name: string, text: string }
let row: unknown[]
let batch: number

async function start (databaseUrl: string, payload: string, rowsPerInsert: number): Promise<void> {
  pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  await pool.query(`create table if not exists bare_events (
    "offset" bigint generated always as identity primary key, id text not null,
    application_id text not null, environment text not null, topic text not null, type text not null,
    source text not null, key text, payload json not null, created_at bigint not null)`)
  await pool.query('truncate bare_events')
  batch = rowsPerInsert
  row = [
    'evt_0123456789abcdef', 'app_0123456789abcdef', 'development', 'bench.publish', 'topic.event', 'api', null, payload,
    Date.now()
  ]
  const tuples = Array.from(
    { length: batch },
    (_, i) => `(${columns.map((_, j) => `$${i * columns.length + j + 1}`).join(',')})`
  )
  statement = { name: 'insert', text: `insert into bare_events (${columns.join(',')}) values ${tuples.join(',')}` }
}

async function round (seconds: number): Promise<RequestsRound> {
  const begin = performance.now()
  const end = begin + seconds * 1000
  let requests = 0
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (performance.now() < end) {
      await pool.query({ ...statement, values: Array.from({ length: batch }, () => row).flat() })
      requests++
    }
  }))
  return { requests, seconds: (performance.now() - begin) / 1000 }
}

async function stored (): Promise<number> {
  const { rows } = await pool.query<{ count: string }>('select count(*) from bare_events')
  return Number(rows[0]?.count)
}

const methods = { start, round, stored }
export type InsertsLoad = typeof methods
answerCalls(methods)
