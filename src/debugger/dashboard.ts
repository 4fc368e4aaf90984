import { sql, type Kysely } from 'kysely'
import type { Dashboard, HotTopic, HotTopicsQuery } from '../../schemas/metrics.ts'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import {
  percentiles, type LiveStats, type RateWindow, type ScopeStats
} from '../foundation/observability/live-stats.ts'
import { applicationsWith, isAllowed } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { mayReadTopic } from '../identity/access/reading.ts'
import type { Hub } from '../delivery/hub.ts'
import type { Database } from '../../db/tables.ts'
import { lagSince } from './reader-lag.ts'

/** Failures are counted over the last minute. */
const failureSeconds = 60

/** The state of webhook deliveries. */
export interface WebhookLoad {
  waiting: number
  oldestDueMs: number
  retrying: number
  dead: number
  succeeded: number
  failed: number
}

/** Whether a dashboard includes a scope. */
export type Reach = (scope: Scope) => boolean

export interface DashboardOptions {
  liveStats: LiveStats
  hub: Hub
  /** Returns the number of writes that wait to be stored, over all tenants: the writer does not count them by scope. */
  writesWaiting (): number
  load: PipelineLoad
}

/** The part of the platform that a dashboard shows. `environment` limits it to one; undefined means all. */
export interface View {
  maySee (scope: Scope, topic: string): boolean
  reach: Reach
  applicationIds: readonly string[] | 'all'
  environment?: Environment
}

/** Computes dashboard figures of one scope, or of all scopes of a principal, from the memory of this node. */
export function createDashboard ({ liveStats, hub, writesWaiting, load }: DashboardOptions) {
  return {
    /** Returns the view of one scope, or of every scope in which the principal may use the debugger. */
    viewOf (principal: Principal, scope: Scope | undefined): View {
      const maySee = (one: Scope, topic: string) => mayReadTopic(principal, one, topic)
      if (scope !== undefined) {
        return {
          maySee, reach: one => scopeKey(one) === scopeKey(scope), applicationIds: [scope.applicationId],
          environment: scope.environment
        }
      }
      return {
        maySee, reach: one => isAllowed(principal, one, 'metrics:read'),
        applicationIds: applicationsWith(principal, 'metrics:read')
      }
    },

    async dashboard ({ reach, applicationIds, environment }: View): Promise<Dashboard> {
      const scopes = liveStats.scopes(reach)
      const perSecond = (of: (scope: ScopeStats) => RateWindow) =>
        rounded(scopes.reduce((sum, scope) => sum + of(scope).perSecond(), 0))
      const lately = (of: (scope: ScopeStats) => RateWindow) =>
        scopes.reduce((sum, scope) => sum + of(scope).sum(failureSeconds), 0)
      const [p50 = 0, p95 = 0, p99 = 0] = percentiles(scopes.map(({ fanOut }) => fanOut), [0.5, 0.95, 0.99])
      const [hooks, cdcLag] = await Promise.all([load.webhooks(applicationIds, environment), load.cdcLagMs(reach)])
      const attempts = hooks.succeeded + hooks.failed
      return {
        delivery: {
          activeConnections: scopes.reduce((sum, { connections }) => sum + connections, 0),
          reconnectRate: perSecond(({ reconnects }) => reconnects),
          eventsInPerSec: perSecond(({ received }) => received),
          eventsOutPerSec: perSecond(({ delivered }) => delivered),
          fanoutLatencyP50: p50,
          fanoutLatencyP95: p95,
          fanoutLatencyP99: p99
        },
        pipeline: {
          cdcLag,
          outboxLag: hooks.oldestDueMs,
          eventsCapturedPerSec: perSecond(({ captured }) => captured),
          eventsRoutedPerSec: perSecond(({ routed }) => routed),
          mappingFailures: lately(({ mappingFailures }) => mappingFailures),
          schemaValidationFailures: lately(({ schemaViolations }) => schemaViolations)
        },
        reliability: {
          queueDepth: writesWaiting() + hooks.waiting,
          retryCount: hooks.retrying,
          dlqSize: hooks.dead,
          webhookSuccessRate: attempts === 0 ? 1 : rounded(hooks.succeeded / attempts),
          webhookFailureRate: attempts === 0 ? 0 : rounded(hooks.failed / attempts)
        }
      }
    },

    /** Returns the topics with the most events, then those with the most subscribers. */
    hotTopics ({ reach, maySee }: View, { limit = 20 }: HotTopicsQuery): HotTopic[] {
      return liveStats.topics(reach).map(({ scope, topic, eventsPerSecond, fanOut }) => ({
        topic,
        eventsPerSec: rounded(eventsPerSecond),
        subscribers: hub.subscriptionsTo(scope, topic),
        // Latency exists only if a filter matched, so it would reveal something about the payload.
        fanoutLatencyP95: maySee(scope, topic) ? percentiles([fanOut], [0.95])[0] ?? 0 : null
      })).filter(({ eventsPerSec, subscribers }) => eventsPerSec > 0 || subscribers > 0)
        .sort((a, b) => b.eventsPerSec - a.eventsPerSec || b.subscribers - a.subscribers).slice(0, limit)
    }
  }
}
export type DashboardReader = ReturnType<typeof createDashboard>

const rounded = (value: number): number => Math.round(value * 1000) / 1000

/** Limits: deliveries per webhook and attempts that are counted, webhooks and connections that are examined. */
const countedMax = 10_000
const webhooksMax = 2000
const connectionsMax = 1000
const hourMs = 3_600_000

/** Reads the state of webhooks and connected databases over all nodes from their tables. */
export function createPipelineLoad ({ db }: { db: Kysely<Database> }) {
  return {
    /**
     * Counts deliveries of the applications, or of all, in one environment or all. Each count has a limit, so that a
     * backlog does not slow it down.
     */
    async webhooks (applicationIds: readonly string[] | 'all', environment?: Environment): Promise<WebhookLoad> {
      const now = Date.now()
      const isMeant = (column: string) =>
        applicationIds === 'all' ? sql`true` : sql`${sql.ref(column)} = any(${applicationIds})`
      const isThere = environment === undefined ? sql`true` : sql`environment = ${environment}`
      const pending = (lanes: 'null' | 'not null') =>
        sql`
        (select next_at, failures, environment from webhook_deliveries d
          where d.webhook_id = w.id and d.state = 'pending' and d.lane is ${
          sql.raw(lanes)
        } limit ${countedMax})`
      const { rows: [owed] } = await sql<{ waiting: number, retrying: number, oldest: number | null, dead: number }>`
        select coalesce(sum(p.waiting), 0) as waiting, coalesce(sum(p.retrying), 0) as retrying,
          min(p.oldest) as oldest, coalesce(sum(g.dead), 0) as dead
        from (select id, application_id from webhooks w where ${isMeant('w.application_id')} limit ${webhooksMax}) w
        cross join lateral (
          select count(*) as waiting, count(*) filter (where failures > 0) as retrying,
            min(next_at) filter (where next_at <= ${now}) as oldest
          from (${pending('null')} union all ${pending('not null')}) one where ${isThere}) p
        cross join lateral (
          select count(*) as dead from (
            select environment from webhook_deliveries d where d.application_id = w.application_id
              and d.webhook_id = w.id and d.state = 'dead' limit ${countedMax}) one where ${isThere}) g`
        .execute(db)
      const { rows: [tried] } = await sql<{ succeeded: number, failed: number }>`
        select count(*) filter (where success) as succeeded, count(*) filter (where not success) as failed
        from (select success, attempted_at, environment from webhook_attempts a where ${
        isMeant('a.application_id')
      } order by attempted_at desc, seq desc limit ${countedMax}) a
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

    /**
     * Returns the lag of the slowest reader as last reported: the age of the oldest received transaction that is not
     * stored, or how long the reader has not been streaming.
     */
    async cdcLagMs (reach: Reach): Promise<number> {
      const rows = await db.selectFrom('cdc_connections').select(['application_id', 'environment', 'status']).where(
        'status', 'is not', null
      ).limit(connectionsMax).execute()
      const oldest = rows.filter(row =>
        reach({ applicationId: row.application_id, environment: row.environment as Environment })
      ).flatMap(({ status }) => lagSince(status) ?? [])
      return oldest.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...oldest))
    }
  }
}
export type PipelineLoad = ReturnType<typeof createPipelineLoad>
