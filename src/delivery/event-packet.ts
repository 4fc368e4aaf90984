import { LoggedEvent } from '../events/envelope.ts'
import type { EventSource, EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'

/** Of one event: what is short, and the lengths of its texts, -1 for one that it has not. */
type Head = [
  id: string,
  offset: number,
  type: EventType,
  source: EventSource,
  key: string | null,
  schemaVersion: number | null,
  timestamp: number,
  payload: number,
  diff: number,
  meta: number
]

/**
 * Events of one log as one text: a line of JSON, then their JSON texts as they are, which need not be escaped nor
 * parsed.
 */
export function encodeEvents (events: readonly LoggedEvent[]): string {
  const [first] = events
  const heads: Head[] = []
  let texts = ''
  for (const { id, offset, type, source, key, schemaVersion, timestamp, payload, diff, meta } of events) {
    heads.push([
      id, offset, type, source, key, schemaVersion, timestamp, payload.length, diff?.length ?? -1, meta?.length ?? -1
    ])
    texts += payload + (diff ?? '') + (meta ?? '')
  }
  return `${JSON.stringify([first?.epoch, heads])}\n${texts}`
}

/** Throws for what is no such text. */
export function decodeEvents (scope: Scope, topic: string, text: string): LoggedEvent[] {
  const headEnd = text.indexOf('\n')
  const [epoch, heads] = JSON.parse(text.slice(0, headEnd)) as [string, Head[]]
  let at = headEnd + 1
  function take (length: number): string | undefined {
    if (length < 0) return undefined
    at += length
    return text.slice(at - length, at)
  }
  return heads.map(([id, offset, type, source, key, schemaVersion, timestamp, payload, diff, meta]) =>
    new LoggedEvent(scope, {
      topic, type, source, key, schemaVersion, payload: take(payload) as string, diff: take(diff), meta: take(meta)
    }, { id, offset, epoch, timestamp })
  )
}
