import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Environment } from '../../schemas/scope.ts'
import type { ReaderStatus } from '../cdc/replication/reader.ts'
import type { Reach, WebhookLoad } from './dashboard.ts'

/** Deliveries of one webhook, and attempts of one application, that are counted at most. */
const countedMax = 10_000
const webhooksMax = 2000
const connectionsMax = 1000
const hourMs = 3_600_000

/** How webhooks and connected databases are doing, over all nodes: read from what they keep. */
export function createPipelineLoad ({ db }: { db: Kysely<Database> }) {
  return {
    /** Of the applications, or of all, in one environment or all. What is looked at has a bound, so that a backlog does not make it slow. */
    async webhooks (applicationIds: readonly string[] | 'all', environment?: Environment): Promise<WebhookLoad> {
      const now = Date.now()
      const isMeant = (column: string) => applicationIds === 'all' ? sql`true` : sql`${sql.ref(column)} = any(${applicationIds})`
      const isThere = environment === undefined ? sql`true` : sql`environment = ${environment}`
      const pending = (lanes: 'null' | 'not null') => sql`
        (select next_at, failures, environment from webhook_deliveries d where d.webhook_id = w.id and d.state = 'pending' and d.lane is ${sql.raw(lanes)} limit ${countedMax})`
      const { rows: [owed] } = await sql<{ waiting: number, retrying: number, oldest: number | null, dead: number }>`
        select coalesce(sum(p.waiting), 0) as waiting, coalesce(sum(p.retrying), 0) as retrying, min(p.oldest) as oldest, coalesce(sum(g.dead), 0) as dead
        from (select id, application_id from webhooks w where ${isMeant('w.application_id')} limit ${webhooksMax}) w
        cross join lateral (
          select count(*) as waiting, count(*) filter (where failures > 0) as retrying, min(next_at) filter (where next_at <= ${now}) as oldest
          from (${pending('null')} union all ${pending('not null')}) one where ${isThere}) p
        cross join lateral (
          select count(*) as dead from (
            select environment from webhook_deliveries d where d.application_id = w.application_id and d.webhook_id = w.id and d.state = 'dead' limit ${countedMax}) one where ${isThere}) g`.execute(db)
      const { rows: [tried] } = await sql<{ succeeded: number, failed: number }>`
        select count(*) filter (where success) as succeeded, count(*) filter (where not success) as failed
        from (select success, attempted_at, environment from webhook_attempts a where ${isMeant('a.application_id')} order by seq desc limit ${countedMax}) a
        where attempted_at >= ${now - hourMs} and ${isThere}`.execute(db)
      return {
        waiting: owed?.waiting ?? 0,
        retrying: owed?.retrying ?? 0,
        oldestDueMs: owed?.oldest == null ? 0 : Math.max(0, now - owed.oldest),
        dead: owed?.dead ?? 0,
        succeeded: tried?.succeeded ?? 0,
        failed: tried?.failed ?? 0
      }
    },

    /** How far the worst reader is behind, as the readers last reported: the age of the oldest transaction that it has received and not stored, or how long it does not stream. */
    async cdcLagMs (reach: Reach): Promise<number> {
      const rows = await db.selectFrom('cdc_connections').select(['application_id', 'environment', 'status']).where('status', 'is not', null).limit(connectionsMax).execute()
      const oldest = rows.filter(row => reach({ applicationId: row.application_id, environment: row.environment as Environment })).flatMap(({ status }) => {
        const { state, since, oldestCommitAt } = JSON.parse(status ?? '{}') as Partial<ReaderStatus>
        return (state === 'streaming' ? oldestCommitAt : since) ?? []
      })
      return oldest.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...oldest))
    }
  }
}
export type PipelineLoad = ReturnType<typeof createPipelineLoad>
