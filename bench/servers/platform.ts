import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../src/app.ts'
import { createConfig } from '../../src/config.ts'
import { createLogger } from '../../src/logger.ts'
import { tenant, type Tenant } from '../../test/tenant.ts'
import { answerCalls } from '../children.ts'
import { cpuSeconds, memoryBytes } from './usage.ts'

/* The platform as it is deployed: authentication, tenancy and metrics on; only the rate limit is off. */

let app: FastifyInstance
let own: Tenant

async function start (databaseUrl: string): Promise<{ url: string, token: string, applicationId: string }> {
  const config = createConfig({
    DATABASE_URL: databaseUrl, ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'), RATE_LIMIT_MAX: '0', LOG_LEVEL: 'warn'
  })
  config.database.poolMax = 10
  app = await buildApp({ config, logger: createLogger(config) })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  own = await tenant(app)
  return { url, token: own.token(), applicationId: own.applicationId }
}

/** Documents `d0`, `d1`, … of the service `bench`. */
async function seedDocuments (count: number, data: Record<string, unknown>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => app.documents.create(own.scope, 'bench', { id: `d${i}`, data })))
}

/** What a row counts to see that nothing was lost. */
async function documentTotals (): Promise<{ revisions: number, updates: number, distinctOffsets: number, head: number }> {
  const { rows: [documents] } = await app.pool.query<{ revisions: number }>(
    'select sum(revision) - count(*) as revisions from documents where application_id = $1', [own.applicationId])
  const log = await logTotals('sync.bench.updated')
  return { revisions: documents?.revisions ?? NaN, updates: log.events, ...log }
}

async function logTotals (topic: string): Promise<{ events: number, distinctOffsets: number, head: number }> {
  const { rows: [log] } = await app.pool.query<{ events: number, distinctOffsets: number, head: number }>(`
    select count(*)::float as events, count(distinct e."offset")::float as "distinctOffsets", max(l.head_offset)::float as head
    from topic_logs l join events e on e.log_id = l.id and e."offset" between 1 and l.head_offset
    where l.application_id = $1 and l.topic = $2`, [own.applicationId, topic])
  return log ?? { events: NaN, distinctOffsets: NaN, head: NaN }
}

/** Lets what a round left to do after its last answer happen before the clock of the next one starts. */
async function settle (): Promise<void> {
  while (app.eventWriter.health().depth > 0) await sleep(1)
  await sleep(5)
}

const methods = {
  start, seedDocuments, documentTotals, logTotals, settle, cpuSeconds, memoryBytes, registerTopic: async (name: string) => own.topic(name)
}
export type PlatformServer = typeof methods
answerCalls(methods, async () => { await app.close() })
