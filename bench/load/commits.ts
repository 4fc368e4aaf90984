import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { answerCalls } from '../children.ts'
import { numberAt, Subscriber } from './subscriber.ts'

/*
 * An application that writes to its database, and a client of the platform that hears of it.
 */

export const columns = 'id bigserial primary key, status text not null, amount numeric not null, note text not null, at bigint not null'

let pool: pg.Pool
let subscriber: Subscriber | undefined
let latencies: number[] = []
let fault: string | undefined
const atField = Buffer.from('"at":')

async function start (url: string, table: string): Promise<void> {
  pool = new pg.Pool({ connectionString: url, max: 8 })
  await pool.query(`create table ${table} (${columns})`)
}

/** So many transactions of so many rows, as fast as one session can. */
async function write (table: string, transactions: number, rows: number): Promise<void> {
  for (let i = 0; i < transactions; i++) {
    await pool.query(`insert into ${table} (status, amount, note, at)
      select 'active', n + 0.5, 'The quick brown fox jumps over the lazy dog ' || n, 0 from generate_series(1, ${rows}) n`)
  }
}

async function subscribe (url: string, token: string, topic: string): Promise<void> {
  subscriber = new Subscriber({
    url,
    transport: '/ws',
    token,
    onEvent: (chunk, start) => { latencies.push(Date.now() - numberAt(chunk, chunk.indexOf(atField, start) + atField.length)) },
    onFault: message => { fault = message }
  })
  await subscriber.subscribe(topic)
}

/** One row a transaction, at an even pace; from before the statement that inserts and commits to the arrival. Milliseconds, sorted. */
async function pace (table: string, perSecond: number, seconds: number): Promise<number[]> {
  latencies = []
  const total = perSecond * seconds
  const begin = performance.now()
  const writing: Promise<unknown>[] = []
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor((performance.now() - begin) / 1000 * perSecond))
    for (; sent < due; sent++) {
      writing.push(pool.query({ name: 'insert', text: `insert into ${table} (status, amount, note, at) values ('active', 1.5, 'note', $1)`, values: [Date.now()] }))
    }
    await sleep(1)
  }
  await Promise.all(writing)
  for (const deadline = performance.now() + 20_000; latencies.length < total && performance.now() < deadline;) await sleep(10)
  if (fault !== undefined) throw new Error(fault)
  if (latencies.length !== total) throw new Error(`lost or doubled: ${total} commits, ${latencies.length} events`)
  return latencies.sort((a, b) => a - b)
}

async function end (): Promise<void> {
  subscriber?.close()
  await pool.end()
}

const methods = { start, write, subscribe, pace, end }
export type CommitsLoad = typeof methods
answerCalls(methods)
