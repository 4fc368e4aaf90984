import { LoggedEvent } from '../events/envelope.ts'
import type { Claimed } from './dispatch/queue.ts'

/** The body of Standard Webhooks, the same to the byte in each attempt; undefined when the event is gone. */
export function bodyOf (claimed: Claimed): string | undefined {
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

function metaOf ({ meta, replay_of: replayOf }: Claimed): string | undefined {
  if (replayOf === null) return meta ?? undefined
  return JSON.stringify({ ...(meta === null ? {} : JSON.parse(meta) as object), replayOf })
}
