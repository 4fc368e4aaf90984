import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { WebhookTestResult } from '../../schemas/webhooks.ts'
import type { WebhookSettings } from '../config/webhook-settings.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import { RateLimitError } from '../errors.ts'
import { LoggedEvent } from '../events/envelope.ts'
import { newEpoch, randomId } from '../foundation/ids.ts'
import type { AddressGuard } from './http/address-guard.ts'
import type { Within } from './endpoint-rows.ts'
import type { Endpoints } from './endpoints.ts'
import { deliveryId } from './dispatch/endpoint-worker.ts'
import { messageOf, signatureHeaders } from './request-body.ts'
import { openKeys } from './secrets.ts'
import { Sender } from './http/sender.ts'

/** Concurrent tests on a node: each holds an API request open until the endpoint responds. */
const testsMax = 16

export interface TestRequestOptions {
  db: Kysely<Database>
  endpoints: Endpoints
  guard: AddressGuard
  encryption: Encryption
  settings: WebhookSettings
}

/**
 * Sends a signed example event to a webhook, active or not, and returns the result. The log records it as one attempt
 * without a delivery.
 */
export function createTestRequest ({ db, endpoints, guard, encryption, settings }: TestRequestOptions) {
  let underWay = 0

  /** Throws NotFoundError `WEBHOOK_NOT_FOUND`, or RateLimitError while too many tests are in progress. */
  return async function test (scope: Scope, id: string, within?: Within): Promise<WebhookTestResult> {
    const webhook = await endpoints.find(scope, id, within)
    if (underWay >= testsMax) {
      throw new RateLimitError(
        'RATE_LIMITED',
        `The server is already running ${testsMax} webhook tests, its limit. Retry shortly`
      )
    }
    underWay++
    const sender = new Sender({ url: webhook.url, guard, settings, onResent () {} })
    try {
      const uuid = randomUUID()
      const environment = webhook.environments?.[0] ?? scope.environment
      const event = exampleOf({ applicationId: scope.applicationId, environment }, webhook.events)
      const body = messageOf(event)
      const keys = openKeys(encryption, webhook.id, webhook.secrets, Date.now())
      const headers = signatureHeaders(deliveryId(uuid), Math.floor(Date.now() / 1000), body, keys)
      const { retryAfterMs: _, responseHeaders = null, ...attempt } = await sender.send(body, headers)
      await db.insertInto('webhook_attempts').values({
        application_id: scope.applicationId,
        environment,
        webhook_id: id,
        event_type: event.type,
        url: webhook.url,
        attempt: 1,
        success: attempt.success,
        status_code: attempt.statusCode,
        error: attempt.error,
        response_body: attempt.responseBody,
        response_headers: responseHeaders && JSON.stringify(responseHeaders),
        duration_ms: attempt.durationMs,
        attempted_at: Date.now()
      }).execute()
      return { deliveryId: deliveryId(uuid), ...attempt, responseHeaders }
    } finally {
      underWay--
      await sender.close()
    }
  }
}
export type TestRequest = ReturnType<typeof createTestRequest>

/** Builds an event of the first type that the webhook listens to. `meta.test` marks it as a test. */
function exampleOf (scope: Scope, events: readonly string[]): LoggedEvent {
  const type = events.find(name => name !== '*') ?? 'topic.event'
  return new LoggedEvent(scope, {
    topic: 'webhook.test',
    type: type as EventType,
    source: 'api',
    key: null,
    payload: '{"message":"This is a test of your webhook."}',
    meta: '{"test":true}',
    schemaVersion: null
  }, { id: randomId('evt'), offset: 1, epoch: newEpoch(), timestamp: Date.now() })
}
