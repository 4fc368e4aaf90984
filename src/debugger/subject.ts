import type { ExplainRequest } from '../../schemas/debugger.ts'
import type { Scope } from '../../schemas/scope.ts'
import { NotFoundError } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog } from '../events/log.ts'
import { invalid } from '../foundation/json.ts'
import type { RefusalDetail } from './tracing/detail.ts'
import type { TraceReader } from './trace-reader.ts'
import type { TracedEvent } from './traced-event.ts'
import type { Asked } from './verdict.ts'

/** The event of a request, as far as it is stored. */
export interface Subject {
  topic: string
  eventId: string | null
  traced: TracedEvent | undefined
  /** Undefined when the event was rejected. */
  logged: LoggedEvent | undefined
}

export interface SubjectsOptions { log: EventLog, reader: TraceReader }

/** Throws NotFoundError `EVENT_NOT_FOUND`, or ValidationError when the request names no event. */
export async function findSubject (
  { log, reader }: SubjectsOptions, scope: Scope, { eventId, topic, offset }: ExplainRequest
): Promise<Subject> {
  if (eventId !== undefined) {
    if (topic !== undefined || offset !== undefined) {
      throw invalid('/eventId', 'must not be combined with /topic and /offset')
    }
    const traced = await reader.find(scope, eventId)
    if (traced === undefined) {
      throw eventNotFound(`${eventId}. If the event was not sampled, use its topic and offset instead`)
    }
    const logged = await reader.logged(traced)
    if (logged === undefined && traced.offset !== null) throw eventNotFound(`${eventId}. The log no longer contains it`)
    return { topic: traced.stored.topic, eventId, traced, logged }
  }
  if (topic === undefined || offset === undefined) {
    throw invalid('/eventId', 'is required unless you give /topic and /offset')
  }
  const [logged] = await log.page(scope, topic, { after: offset - 1, limit: 1 })
  if (logged?.offset !== offset) throw eventNotFound(`the log of ${topic} does not contain offset ${offset}`)
  return { topic, eventId: logged.id, traced: await reader.find(scope, logged.id), logged }
}

export const eventNotFound = (what: string): NotFoundError =>
  new NotFoundError('EVENT_NOT_FOUND', `Event not found: ${what}`)

/** Returns the checks before storing. For a payload that violates its schema, returns each violation. */
export function askStored ({ topic, traced, logged }: Subject, maySee: (topic: string) => boolean): Asked[] {
  if (logged !== undefined) {
    const { offset, schemaVersion: version } = logged
    return [
      ...(version === null
        ? []
        : [{
            condition: 'schema',
            holds: true,
            found: version,
            message: `The payload is valid for version ${version} of the schema of ${topic}`
          }]),
      {
        condition: 'stored',
        holds: true,
        found: offset,
        message: `The event is in the log of ${topic} at offset ${offset}`
      }
    ]
  }
  const refusal = traced?.stored.refusal
  return refusal === undefined ? [] : askRefusal(topic, refusal, maySee(topic))
}

function askRefusal (
  topic: string, { schemaVersion, error: { code, message, details = [] } }: RefusalDetail, isSeen: boolean
): Asked[] {
  if (code === 'TOPIC_NOT_FOUND') {
    return [{
      condition: 'topic',
      holds: false,
      found: topic,
      cause: 'TOPIC_NOT_FOUND',
      message: `The event was rejected: ${message}`
    }]
  }
  if (code !== 'SCHEMA_VIOLATED') {
    return [{
      condition: 'stored',
      holds: false,
      found: code,
      cause: 'EVENT_REFUSED',
      message: `The event was rejected (${code}): ${message}`
    }]
  }
  return [
    {
      condition: 'schema',
      holds: false,
      found: schemaVersion,
      cause: 'SCHEMA_VIOLATED',
      message: isSeen
        ? `The event was rejected: ${message}`
        : `The event was rejected: its payload violates version ${schemaVersion} of the schema`
    },
    ...(isSeen ? details : []).map(({ path, message: what }): Asked => ({
      condition: 'schema',
      holds: false,
      path,
      cause: 'SCHEMA_VIOLATED',
      message: `${path} ${what}`
    }))
  ]
}
