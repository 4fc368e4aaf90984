import type { FastifyInstance } from 'fastify'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { DatabaseConnection, DatabaseLog, MappingDefinition } from '../../schemas/database.ts'
import type { RealtimeEvent } from '../../schemas/events.ts'
import { createDatabase } from './database.ts'
import type { Teardown } from './teardown.ts'
import { tenant, type Tenant } from './tenant.ts'
import { until } from './waiting.ts'

/** A tenant's own database, and a session in it. */
export interface TestSource {
  url: string
  client: pg.Client
  sql (text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
}

/** Creates a database that is dropped after the test, with any slot that is left. */
export async function createSource (t: Teardown): Promise<TestSource> {
  const url = await createDatabase(t)
  t.teardown(async () => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    for (let left = 1; left > 0;) {
      await client.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and ' +
          'active'
      )
      await client.query(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() ' +
          'and not active'
      )
      const { rows: [row] } = await client.query(
        'select count(*)::int as left from pg_replication_slots where database = current_database()'
      )
      left = row.left
    }
    await client.end()
  })
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  // The database is a copy of the platform's own, so its tables are removed first.
  await client.query('drop schema public cascade; create schema public')
  return {
    url, client, sql: async (text, values) => (await client.query(text, values)).rows as Record<string, unknown>[]
  }
}

export const uniqueName = () => `t_${randomBytes(6).toString('hex')}`

/** Creates a tenant with a connected database. */
export async function sourced (t: Teardown, app: FastifyInstance, given?: TestSource) {
  const own = await tenant(app)
  const source = given ?? await createSource(t)
  const connection = async () => (await own.request('GET', '/api/database/connection')).body as DatabaseConnection
  return {
    ...own,
    source,
    sql: source.sql,
    connection,
    /** Resolves when the connection is streaming. */
    async connect (more: object = {}): Promise<void> {
      const { status, text } = await own.request('PUT', '/api/database/connection', {
        connectionString: source.url,
        ...more
      })
      if (status !== 200) throw new Error(text)
      await this.state('streaming')
    },
    async state (state: DatabaseConnection['state'], code?: string): Promise<DatabaseConnection> {
      let last: DatabaseConnection | undefined
      await until(async () => {
        last = await connection()
        return last.state === state && (code === undefined || last.error?.code === code)
      }, () => `${state} ${code ?? ''}: ${JSON.stringify(last)}`, 90_000)
      return last as DatabaseConnection
    },
    async map (definition: MappingDefinition): Promise<{ mappingId: string, subscriptionId: string }> {
      const made = await own.request('POST', '/api/database/mappings', definition)
      if (made.status !== 201) throw new Error(made.text)
      const on = await own.request('POST', '/api/database/subscriptions', { mappingId: made.body.id })
      if (on.status !== 201) throw new Error(on.text)
      return { mappingId: made.body.id as string, subscriptionId: on.body.id as string }
    },
    /** Returns the topic's events once there are `count` of them. */
    events: (topic: string, count: number, timeoutMs?: number) => eventsOf(own, topic, count, timeoutMs),
    async logs (query: string, isThere: (logs: DatabaseLog[]) => boolean): Promise<DatabaseLog[]> {
      let logs: DatabaseLog[] = []
      await until(async () => {
        logs = (await own.request('GET', `/api/database/logs?${query}`)).body
        return isThere(logs)
      }, () => `logs: ${JSON.stringify(logs)}`)
      return logs
    }
  }
}

export async function eventsOf (
  own: Pick<Tenant, 'request'>, topic: string, count: number, timeoutMs = 60_000
): Promise<RealtimeEvent[]> {
  const events: RealtimeEvent[] = []
  await until(
    async () => {
      for (;;) {
        const { body } = await own.request(
          'GET',
          `/api/topics/${topic}/events?limit=1000&after=${events.at(-1)?.offset ?? 0}`
        )
        events.push(...body as RealtimeEvent[])
        if ((body as RealtimeEvent[]).length < 1000) break
      }
      return events.length >= count
    },
    () => `${count} events of ${topic}; ${events.length} came`,
    timeoutMs
  )
  return events
}
