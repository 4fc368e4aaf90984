import type { Alert, AlertRuleName, AlertRuleUpdate } from '../../schemas/alerts.ts'
import type { Config } from '../../src/config.ts'
import { build } from './build.ts'
import type { Tenant } from './tenant.ts'
import { eventually } from './waiting.ts'
import { variables } from './webhooks.ts'

/* Nodes that evaluate alerts many times a second, over short windows. */

const quick: Partial<Config['alerts']> = {
  intervalMs: 50, resolveAfterMs: 50, windowMs: 500, deadWindowMs: 3_600_000, countedPerMs: 100, countsStoredEveryMs: 50
}

interface Options {
  databaseUrl?: string
  settings?: Partial<Config['alerts']>
  more?: Record<string, string>
  adapt?: (config: Config) => void
}

export const alertingNode = (
  t: Parameters<typeof build>[0], { databaseUrl, settings = {}, more = {}, adapt }: Options = {}
) =>
  build(t, {
    variables: { ...variables, ...more },
    ...(databaseUrl !== undefined && { databaseUrl }),
    adapt (config) {
      Object.assign(config.alerts, quick, settings)
      Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 50 })
      config.cdc.leaseMs = 2000
      adapt?.(config)
    }
  })

type Requests = Pick<Tenant, 'request'>

export async function setRules (shop: Requests, ...updates: AlertRuleUpdate[]): Promise<void> {
  const { status, text } = await shop.request('PUT', '/api/alerts/rules', updates)
  if (status !== 200) throw new Error(text)
}

export const alertsOf = async (shop: Requests, query = '') =>
  (await shop.request('GET', `/api/alerts?limit=1000${query}`)).body as Alert[]

/** Waits until an alert of the rule has the status, and returns it. */
export const alertOf = async (shop: Requests, rule: AlertRuleName, status: Alert['status'], timeoutMs?: number) =>
  await eventually(async () => (await alertsOf(shop, `&rule=${rule}&status=${status}`))[0], timeoutMs)

/** Waits until the alert is resolved, and returns it. */
export const resolutionOf = async (shop: Requests, { id }: Alert) =>
  await eventually(async () => (await alertsOf(shop, '&status=resolved')).find(alert => alert.id === id))

export interface AlertEventRow { type: string, key: string, payload: Alert }

/** The events of `system.alert` in the log, in order. */
export const alertEventsOf = async (shop: Requests) =>
  (await shop.request('GET', '/api/topics/system.alert/events?limit=1000')).body as AlertEventRow[]
