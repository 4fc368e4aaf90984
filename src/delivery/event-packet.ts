import { LoggedEvent } from '../events/envelope.ts'
import type { EventSource, EventType } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'

/** The short fields of one event, and the lengths of its texts: -1 for an absent one. */
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
 * Encodes events of one log as one text: a line of JSON, followed by the JSON texts of the events as they are. The
 * texts are neither escaped nor parsed again.
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

/** Throws if the text is not an encoded packet. */
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
