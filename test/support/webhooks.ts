import type { WebhookDelivery, WebhookLog } from '../../schemas/webhooks.ts'
import type { Config } from '../../src/config.ts'
import { build } from './build.ts'
import type { Tenant } from './tenant.ts'

/* Nodes with quick retries, and helpers for tests of webhooks. */

export const variables = {
  WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '10ms,10ms,10ms,10ms,10ms', WEBHOOK_TIMEOUT_MS: '10000'
}

/** Starts a node whose circuits never open, unless the settings differ. */
export const node = (
  t: Parameters<typeof build>[0], databaseUrl?: string, settings: Partial<Config['webhooks']> = {},
  more: Record<string, string> = {}
) =>
  build(t, {
    variables: { ...variables, ...more },
    ...(databaseUrl !== undefined && { databaseUrl }),
    adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 50, ...settings })
  })

export async function hook (
  shop: Tenant, target: string, fields: Record<string, unknown> = {}
): Promise<{ id: string, secret: string }> {
  const { status, text, body } = await shop.request('POST', '/api/webhooks', {
    url: target,
    events: ['topic.event'],
    ...fields
  })
  if (status !== 201) throw new Error(text)
  return body as { id: string, secret: string }
}

export const deliveriesOf = async (shop: Tenant, query = '') =>
  (await shop.request('GET', `/api/webhooks/deliveries?limit=1000${query}`)).body as WebhookDelivery[]
export const logsOf = async (shop: Pick<Tenant, 'request'>, query = '') =>
  (await shop.request('GET', `/api/webhooks/logs?limit=1000${query}`)).body as WebhookLog[]

export const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

/** Publishes in batches of many sizes. `n` counts the events of each key. */
export async function publishKeyed (shop: Tenant, topic: string, keys: string[], each: number): Promise<void> {
  const events = upTo(each).flatMap(n => keys.map(key => ({ key, payload: { n } })))
  for (let i = 0, size = 1; i < events.length; i += size, size = size % 13 + 1) {
    const { status, text } = await shop.request('POST', `/api/topics/${topic}/events`, {
      events: events.slice(i, i + size)
    })
    if (status !== 201) throw new Error(text)
  }
}
