import type { EventPublish, PublishBody, PublishReceipt } from '../../../schemas/events.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { toPublicError } from '../../errors.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import { type Writer, idempotencyFor, type OwnKey } from '../../events/intent.ts'
import { noWriteObserver, type WriteObserver } from '../../events/write-observer.ts'
import { encodeJson, invalid } from '../../foundation/json.ts'
import { refuseReserved, topicNotFound } from './topics.ts'

export interface PublisherOptions {
  writer: Writer
  /** Observes requests that are refused before they reach the writer. */
  observer?: Pick<WriteObserver, 'refused'>
}

export function createPublisher ({ writer, observer = noWriteObserver }: PublisherOptions) {
  /** Returns the publications of a request. Throws ValidationError if the topic or a payload is not allowed. */
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

  /** Appends the events and returns them; with an idempotency key their text, which is stored under the key. */
  async function append (
    scope: Scope, topic: string, body: PublishBody, idempotencyKey: OwnKey | undefined
  ): Promise<readonly LoggedEvent[] | string> {
    const publications = prepare(scope, topic, body)
    const idempotency = idempotencyFor(idempotencyKey, 'events.publish', topic, body)
    return writer.submit<readonly LoggedEvent[] | string>({
      scope,
      topics: [topic],
      bytes: publications.reduce((sum, publication) => sum + publication.text.length, 0),
      charge: { events: publications.length },
      idempotency,
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
      answer: events => idempotency === undefined ? events : textOf(body, events)
    })
  }

  return {
    /**
     * Appends one event, or a batch as a whole or not at all. Returns JSON text: the event, or an array of events.
     * Throws NotFoundError `TOPIC_NOT_FOUND`, or ValidationError: `TOPIC_RESERVED`, or for a payload that is malformed
     * or violates the topic's schema.
     */
    async publish (
      scope: Scope, topic: string, body: PublishBody, { idempotencyKey }: PublishOptions = {}
    ): Promise<string> {
      const appended = await append(scope, topic, body, idempotencyKey)
      return typeof appended === 'string' ? appended : textOf(body, appended)
    },

    /**
     * Like `publish`, but returns only the id and place of the first event. The events are not serialised for it. Both
     * share idempotency keys: a retry of one through the other has no second effect.
     */
    async append (
      scope: Scope, topic: string, body: PublishBody, { idempotencyKey }: PublishOptions = {}
    ): Promise<PublishReceipt & { id: string }> {
      const appended = await append(scope, topic, body, idempotencyKey)
      const events = typeof appended === 'string' ? [JSON.parse(appended) as Place | Place[]].flat() : appended
      const [{ id, offset, epoch }] = events as [Place]
      return { id, offset, epoch, count: events.length }
    }
  }
}
export type Publisher = ReturnType<typeof createPublisher>

export interface PublishOptions { idempotencyKey?: OwnKey | undefined }

interface Place { id: string, offset: number, epoch: string }

interface Publication extends EventPublish {
  /** The path of the payload in the request. */
  path: string
}

/** Returns the JSON text that answers a request with this body. */
function textOf ({ events: batch }: PublishBody, events: readonly LoggedEvent[]): string {
  const texts = events.map(event => event.json())
  return batch === undefined ? texts.join() : `[${texts.join(',')}]`
}

/** Returns the events of a body in either form. Throws ValidationError if it mixes both. */
function publicationsOf ({ payload, key, events }: PublishBody): Publication[] {
  if (events === undefined) {
    if (payload === undefined) throw invalid('/payload', 'is required unless /events is given')
    return [{ payload, path: '/payload', ...(key !== undefined && { key }) }]
  }
  if (payload !== undefined) throw invalid('/payload', 'must be absent if /events is given')
  if (key !== undefined) throw invalid('/key', 'must be absent if /events is given: give each event its own key')
  return events.map((event, i) => ({ ...event, path: `/events/${i}/payload` }))
}
