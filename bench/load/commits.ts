import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { answerCalls } from '../children.ts'
import { numberAt, Subscriber } from './subscriber.ts'

/*
 * An application that writes to its database, and a client of the platform that receives its events.
 */

export const columns =
  'id bigserial primary key, status text not null, amount numeric not null, note text not null, at bigint not null'

let pool: pg.Pool
let subscriber: Subscriber | undefined
/** For each row's number, when its commit was acknowledged to the application and when its event arrived. */
let committed: number[] = []
let arrived: number[] = []
let arrivals = 0
let fault: string | undefined
const atField = Buffer.from('"at":')

async function start (url: string, table: string): Promise<void> {
  pool = new pg.Pool({ connectionString: url, max: 32 })
  await pool.query(`create table ${table} (${columns})`)
}

/** Runs transactions of several rows as fast as one session can. */
async function write (table: string, transactions: number, rows: number): Promise<void> {
  for (let i = 0; i < transactions; i++) {
    await pool.query(`insert into ${table} (status, amount, note, at)
      select 'active', n + 0.5, 'The quick brown fox jumps over the lazy dog ' || n, 0
      from generate_series(1, ${rows}) n`)
  }
}

async function subscribe (url: string, token: string, topic: string): Promise<void> {
  subscriber = new Subscriber({
    url,
    transport: '/ws',
    token,
    onEvent: (chunk, start) => {
      arrived[numberAt(chunk, chunk.indexOf(atField, start) + atField.length)] = performance.now()
      arrivals++
    },
    onFault: message => { fault = message }
  })
  await subscriber.subscribe(topic)
}

/**
 * Runs transactions of one row at an even rate, and returns the sorted times from acknowledged commit to arrival in
 * milliseconds. An event may arrive before the acknowledgement.
 */
async function pace (table: string, perSecond: number, seconds: number): Promise<number[]> {
  committed = []
  arrived = []
  arrivals = 0
  const total = perSecond * seconds
  const begin = performance.now()
  const writing: Promise<unknown>[] = []
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor((performance.now() - begin) / 1000 * perSecond))
    for (; sent < due; sent++) {
      const n = sent
      writing.push(
        pool.query({
          name: 'insert',
          text: `insert into ${table} (status, amount, note, at) values ('active', 1.5, 'note', $1)`,
          values: [n]
        })
          .then(() => {
            committed[n] = performance.now()
          })
      )
    }
    await sleep(1)
  }
  await Promise.all(writing)
  await allArrived(total)
  if (fault !== undefined) throw new Error(fault)
  if (arrivals !== total) throw new Error(`lost or doubled: ${total} commits, ${arrivals} events`)
  return arrived.map((at, n) => Math.max(0, at - (committed[n] as number))).sort((a, b) => a - b)
}

async function allArrived (total: number): Promise<void> {
  const isMissing = () => arrivals < total
  for (const deadline = performance.now() + 20_000; isMissing() && performance.now() < deadline;) await sleep(10)
}

async function end (): Promise<void> {
  subscriber?.close()
  await pool.end()
}

const methods = { start, write, subscribe, pace, end }
export type CommitsLoad = typeof methods
answerCalls(methods)
