import { createHmac, randomUUID } from 'node:crypto'
import pg from 'pg'
import { Pool } from 'undici'
import { answerCalls } from '../children.ts'

/*
 * Webhooks without the platform: a queue table, claimed with SKIP LOCKED and settled in bulk; each request is signed,
 * each attempt logged. One endpoint, without retries, order, limits or address checks.
 */

const claimedAtOnce = 250
const secret = Buffer.alloc(32, 7)

let pool: pg.Pool

async function start (databaseUrl: string): Promise<void> {
  pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  await pool.query(`create table if not exists bare_jobs (
    id bigint generated always as identity primary key, webhook_id text not null, body json not null,
    state text not null default 'pending', attempts int not null default 0, lease_until bigint not null default 0,
    created_at bigint not null) with (fillfactor = 50)`)
  await pool.query("create index if not exists bare_jobs_pending on bare_jobs (webhook_id, id) where state = 'pending'")
  await pool.query(`create table if not exists bare_attempts (
    id bigint generated always as identity primary key, job_id bigint not null, success boolean not null,
    status_code int, duration_ms int, attempted_at bigint not null)`)
  await pool.query('create index if not exists bare_attempts_job on bare_attempts (job_id)')
  await pool.query('truncate bare_jobs, bare_attempts')
}

async function fill (body: string, count: number): Promise<void> {
  await pool.query(
    "insert into bare_jobs (webhook_id, body, created_at) select 'whk_bench', $1, $2 from generate_series(1, $3::int)",
    [body, Date.now(), count]
  )
}

interface Job { id: string, body: string }
interface Attempt { id: string, status: number, ms: number }

/** Sends all queued deliveries. */
async function drain (url: string, connections: number): Promise<void> {
  const { origin, pathname } = new URL(url)
  const requests = new Pool(origin, { connections, pipelining: 1 })
  const jobs: Job[] = []
  let claiming: Promise<void> | undefined
  let isEmpty = false
  let ended: Attempt[] = []
  let settling: Promise<void> | undefined

  async function claim (): Promise<void> {
    const { rows } = await pool.query<Job>({
      name: 'claim',
      text: `update bare_jobs set attempts = attempts + 1, lease_until = $1
        where id in (
          select id from bare_jobs where webhook_id = 'whk_bench' and state = 'pending' and lease_until < $2
          order by id limit ${claimedAtOnce} for update skip locked)
        returning id, body::text as body`,
      values: [Date.now() + 60_000, Date.now()]
    })
    isEmpty = rows.length === 0
    jobs.push(...rows)
    claiming = undefined
  }

  async function settle (): Promise<void> {
    while (ended.length > 0) {
      const attempts = ended
      ended = []
      await pool.query({
        name: 'settle',
        text: `with r as (select * from unnest($1::bigint[], $2::int[], $3::int[]) as r(id, status, ms)),
          settled as (update bare_jobs j set state = 'delivered' from r where j.id = r.id)
          insert into bare_attempts (job_id, success, status_code, duration_ms, attempted_at)
          select id, true, status, ms, $4 from r`,
        values: [
          attempts.map(({ id }) => id), attempts.map(({ status }) => status), attempts.map(({ ms }) => ms), Date.now()
        ]
      })
    }
    settling = undefined
  }

  await Promise.all(Array.from({ length: connections }, async () => {
    for (;;) {
      if (jobs.length < claimedAtOnce && !isEmpty) claiming ??= claim()
      if (jobs.length === 0 && claiming !== undefined) await claiming
      const job = jobs.shift()
      if (job === undefined) {
        if (isEmpty) return
        continue
      }
      const began = performance.now()
      const id = randomUUID()
      const timestamp = Math.floor(Date.now() / 1000)
      const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${job.body}`).digest('base64')
      const { statusCode, body: answer } = await requests.request({
        method: 'POST',
        path: pathname,
        body: job.body,
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': `v1,${signature}`
        }
      })
      await answer.dump()
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
      ended.push({ id: job.id, status: statusCode, ms: Math.round(performance.now() - began) })
      settling ??= settle()
    }
  }))
  await settling
  await requests.close()
}

const methods = { start, fill, drain }
export type QueuedPostsLoad = typeof methods
answerCalls(methods)
