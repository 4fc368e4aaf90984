import { createHmac } from 'node:crypto'
import { LoggedEvent } from '../events/envelope.ts'
import type { Claimed } from './dispatch/claim.ts'

/** The parts of a delivery and its event that the body contains. */
export type BodyParts = Pick<Claimed,
  'application_id' | 'environment' | 'topic' | 'event_type' | 'source' | 'key' | 'payload' | 'meta' | 'replay_of' |
  'schema_version' | 'event_id' | 'offset' | 'epoch' | 'event_at'>

/**
 * Returns the request body of Standard Webhooks, byte for byte the same in each attempt; undefined when the event is no
 * longer stored.
 */
export function bodyOf (claimed: BodyParts): string | undefined {
  const { epoch, source, payload } = claimed
  if (epoch === null || source === null || payload === null) return undefined
  const event = new LoggedEvent({ applicationId: claimed.application_id, environment: claimed.environment }, {
    topic: claimed.topic,
    type: claimed.event_type,
    source,
    key: claimed.key,
    payload,
    meta: metaOf(claimed),
    schemaVersion: claimed.schema_version
  }, { id: claimed.event_id, offset: claimed.offset, epoch, timestamp: claimed.event_at })
  return messageOf(event)
}

export const messageOf = (event: LoggedEvent): string =>
  `{"type":"${event.type}","timestamp":"${new Date(event.timestamp).toISOString()}","data":${event.json()}}`

function metaOf ({ meta, replay_of: replayOf }: BodyParts): string | undefined {
  if (replayOf === null) return meta ?? undefined
  return JSON.stringify({ ...(meta === null ? {} : JSON.parse(meta) as object), replayOf })
}

/** Returns the headers of Standard Webhooks. The signature covers `id.timestamp.body`, once for each key. */
export function signatureHeaders (
  id: string, timestampS: number, body: string, keys: readonly Buffer[]
): Record<string, string> {
  const signed = `${id}.${timestampS}.${body}`
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': keys.map(key => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`).join(' ')
  }
}
