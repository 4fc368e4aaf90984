import type { EventPublish, PublishBody } from '../../../schemas/events.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { toPublicError } from '../../errors.ts'
import { type Writer, idempotencyFor, type OwnKey } from '../../events/intent.ts'
import { noWriteObserver, type WriteObserver } from '../../events/write-observer.ts'
import { encodeJson, invalid } from '../../foundation/json.ts'
import { refuseReserved, topicNotFound } from './topics.ts'

export interface PublisherOptions {
  writer: Writer
  /** Hears of what is refused before the writer sees it. */
  observer?: Pick<WriteObserver, 'refused'>
}

export function createPublisher ({ writer, observer = noWriteObserver }: PublisherOptions) {
  /** Throws ValidationError for what no event may be. */
  function prepare (scope: Scope, topic: string, body: PublishBody) {
    const receivedAt = Date.now()
    try {
      refuseReserved(topic)
      return publicationsOf(body).map(({ payload, key = null, path }) => ({
        payload, key, path, text: encodeJson(payload, path)
      }))
    } catch (error) {
      observer.refused({ intent: { scope, topics: [topic] }, refusal: toPublicError(error), receivedAt, source: 'api' })
      throw error
    }
  }

  return {
    /**
     * Appends one event, or a batch of which all are stored or none. Answers JSON text: the event, or an array of them.
     * Throws ValidationError (`TOPIC_RESERVED`, or a payload that is malformed or refused by the topic's schema),
     * NotFoundError `TOPIC_NOT_FOUND`.
     */
    async publish (
      scope: Scope, topic: string, body: PublishBody, { idempotencyKey }: { idempotencyKey?: OwnKey | undefined } = {}
    ): Promise<string> {
      const publications = prepare(scope, topic, body)
      return writer.submit<string>({
        scope,
        topics: [topic],
        bytes: publications.reduce((sum, publication) => sum + publication.text.length, 0),
        idempotency: idempotencyFor(idempotencyKey, 'events.publish', topic, body),
        apply (batch) {
          if (!batch.isRegistered(topic)) throw topicNotFound(topic)
          return {
            events: publications.map(({ payload, key, path, text }) => ({
              topic,
              type: 'topic.event',
              source: 'api',
              key,
              payload: text,
              schemaVersion: batch.check(topic, payload, path)
            }))
          }
        },
        answer (events) {
          const texts = events.map(event => event.json())
          return body.events === undefined ? texts.join() : `[${texts.join(',')}]`
        }
      })
    }
  }
}
export type Publisher = ReturnType<typeof createPublisher>

interface Publication extends EventPublish {
  /** Of the payload, in the request. */
  path: string
}

/** Exactly one of the body's two forms. */
function publicationsOf ({ payload, key, events }: PublishBody): Publication[] {
  if (events === undefined) {
    if (payload === undefined) throw invalid('/payload', 'is required, or else /events')
    return [{ payload, path: '/payload', ...(key !== undefined && { key }) }]
  }
  if (payload !== undefined) throw invalid('/payload', 'must not stand beside /events')
  if (key !== undefined) throw invalid('/key', 'must not stand beside /events: each event has its own')
  return events.map((event, i) => ({ ...event, path: `/events/${i}/payload` }))
}
