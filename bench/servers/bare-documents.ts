import { fastify } from 'fastify'
import pg from 'pg'
import { answerCalls } from '../children.ts'

/*
 * A document server without the platform: Fastify, `pg`, one prepared statement per request. It has no tenants and no
 * events.
 */

const app = fastify()
let pool: pg.Pool

async function start (databaseUrl: string): Promise<{ url: string }> {
  pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  await pool.query(`create table if not exists bare_documents (
    id text primary key, revision bigint not null, data jsonb not null, created_at bigint not null,
    updated_at bigint not null
  ) with (fillfactor = 80)`)
  await pool.query('truncate bare_documents')
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

app.get<{ Params: { id: string } }>('/documents/:id', async (request, reply) => {
  const { rows } = await pool.query({
    name: 'read',
    text: 'select id, revision, data, created_at, updated_at from bare_documents where id = $1',
    values: [request.params.id]
  })
  return rows[0] ?? reply.code(404).send({ error: 'Not found' })
})

app.patch<{ Params: { id: string }, Body: { data: object } }>('/documents/:id', async (request, reply) => {
  const { rows } = await pool.query({
    name: 'merge',
    text: `update bare_documents set data = data || $2::jsonb, revision = revision + 1, updated_at = $3 where id = $1
      returning id, revision, data, created_at, updated_at`,
    values: [request.params.id, JSON.stringify(request.body.data), Date.now()]
  })
  return rows[0] ?? reply.code(404).send({ error: 'Not found' })
})

async function seedDocuments (count: number, data: Record<string, unknown>): Promise<void> {
  await pool.query("insert into bare_documents select 'd' || n, 1, $2, $3, $3 from generate_series(0, $1::int - 1) n", [
    count, JSON.stringify(data), Date.now()
  ])
  await pool.query('vacuum analyze bare_documents')
}

async function revisions (): Promise<number> {
  const { rows } = await pool.query<{ sum: string }>('select sum(revision) - count(*) as sum from bare_documents')
  return Number(rows[0]?.sum)
}

const methods = { start, seedDocuments, revisions }
export type BareDocuments = typeof methods
answerCalls(methods, async () => { await app.close() })
