import { fastify } from 'fastify'
import pg from 'pg'
import { answerCalls } from '../children.ts'

/*
 * A publisher without the platform: Fastify, `pg`, one prepared INSERT per request. It has no offsets, tenants or
 * subscribers.
 */

const app = fastify()
let pool: pg.Pool

async function start (databaseUrl: string): Promise<{ url: string }> {
  pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  await pool.query(`create table if not exists bare_events (
    id bigint generated always as identity primary key, topic text not null, payload json not null,
    created_at bigint not null
  )`)
  await pool.query('truncate bare_events')
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

app.post<{ Params: { topic: string }, Body: { payload: unknown } }>('/events/:topic', async (request, reply) => {
  const { rows } = await pool.query({
    name: 'publish',
    text: `insert into bare_events (topic, payload, created_at) values ($1, $2, $3)
      returning id, topic, payload, created_at`,
    values: [request.params.topic, JSON.stringify(request.body.payload), Date.now()]
  })
  return reply.code(201).send(rows[0])
})

async function stored (): Promise<number> {
  const { rows } = await pool.query<{ count: string }>('select count(*) as count from bare_events')
  return Number(rows[0]?.count)
}

const methods = { start, stored }
export type BareEvents = typeof methods
answerCalls(methods, async () => { await app.close() })
