import type { Scope } from '../../../schemas/scope.ts'
import type { PublicError } from '../../errors.ts'
import type { RefusedIntent } from '../../events/write-observer.ts'
import { typeOfEventsOn } from '../../registry/topics/topic-names.ts'
import type { RefusalDetail } from './detail.ts'

const payloadKeptBytes = 4096
const detailsKept = 20

/** A rejected write, regardless of its cause: a refused intent, or a row for which a mapping failed. */
export interface Rejection {
  scope: Scope
  topic: string
  source: string
  type?: string
  outcome: 'rejected' | 'failed'
  error: RefusalDetail['error']
  receivedAt: number
  schemaVersion?: number | null
  /** JSON text. */
  payload?: string | undefined
  /** More context: the mapping and the row's key, for example. */
  origin?: Record<string, unknown>
}

/** Returns the rejection that a refused intent stands for, or undefined if it concerns no event. */
export function rejectionOf (
  { intent, refusal, receivedAt, checked, source }: RefusedIntent
): Rejection | undefined {
  const topic = checked?.topic ?? intent.topics[0]
  if (topic === undefined || !(source !== undefined || isAboutAnEvent(refusal))) return undefined
  return {
    scope: intent.scope,
    topic,
    source: source ?? sourceOf(topic),
    outcome: refusal.status >= 500 ? 'failed' : 'rejected',
    error: bodyOf(refusal),
    receivedAt,
    schemaVersion: checked?.schemaVersion ?? null,
    payload: checked === undefined ? undefined : JSON.stringify(checked.payload)
  }
}

/** Returns the detail of a rejection's row as JSON. */
export function rejectionDetail (
  { source, type, topic, error, receivedAt, schemaVersion = null, payload, origin }: Rejection, now: number
): string {
  return JSON.stringify(
    {
      source,
      type: type ?? typeOfEventsOn(topic),
      schemaVersion,
      waitedMs: Math.max(0, now - receivedAt),
      error: { ...error, ...(error.details !== undefined && { details: error.details.slice(0, detailsKept) }) },
      ...(payload !== undefined &&
        { payload: payload.slice(0, payloadKeptBytes), payloadBytes: Buffer.byteLength(payload) }),
      ...(origin !== undefined && { origin })
    } satisfies RefusalDetail
  )
}

const bodyOf = (refusal: PublicError): RefusalDetail['error'] => {
  const { error, code, message, details } = refusal.toBody()
  return { error, code, message, details }
}

/** Returns false for conflicts of documents and the like: they are responses to requests, and concern no event. */
const isAboutAnEvent = ({ code, status }: PublicError): boolean =>
  status >= 500 || code === 'SCHEMA_VIOLATED' || code === 'TOPIC_NOT_FOUND' || code === 'APPLICATION_NOT_FOUND'

const rootOf = (topic: string) => topic.slice(0, topic.indexOf('.'))

function sourceOf (topic: string): string {
  const root = rootOf(topic)
  return root === 'sync' ? 'sync' : root === 'socket' || root === 'presence' ? 'socket' : 'api'
}
