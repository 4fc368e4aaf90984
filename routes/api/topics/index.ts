import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { nextCursor, pageOf, ref, refusals } from '../../../schemas/common.ts'
import {
  HistoryQuery, historyScanMax, PublishBody, PublishHeaders, PublishReceipt, RealtimeEvent
} from '../../../schemas/events.ts'
import { PayloadSample } from '../../../schemas/schema-registry.ts'
import { Topic, TopicCreate, TopicPath, TopicQuery, TopicUpdate } from '../../../schemas/topics.ts'

/** Limits the body of a publish. A batch of large payloads has to be smaller than 1,000 events. */
const publishBytesMax = 8 * 1024 * 1024

const topics: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'topics:read' },
    schema: {
      operationId: 'listTopics',
      tags: ['Topics'],
      summary: 'List topics',
      description:
        "Returns the registered topics of the scope. The platform's own topics (`sync.…`, `socket.…`, " +
          '`presence.…`) need no registration and are not listed.',
      querystring: TopicQuery,
      response: {
        200: pageOf(Topic, 'A page of topics.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.topics.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/:name', {
    config: { permission: 'topics:read' },
    schema: {
      operationId: 'getTopic',
      tags: ['Topics'],
      summary: 'Get a topic',
      description: 'Returns one registered topic.',
      params: TopicPath,
      response: { 200: ref(Topic, 'The topic.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.topics.get(request.scope, request.params.name))

  app.get('/:name/sample', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'getSamplePayload',
      tags: ['Topics'],
      summary: 'Get a sample payload',
      description:
        "Returns a payload that is valid under the topic's active schema: an example or default of its author, or " +
          'else a generated one, if possible with all declared properties. The same schema has the same sample.',
      params: TopicPath,
      response: { 200: ref(PayloadSample, 'A valid payload.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.schemas.sample(request.scope, request.params.name))

  app.post('/', {
    config: { permission: 'topics:create' },
    schema: {
      operationId: 'createTopic',
      tags: ['Topics'],
      summary: 'Create a topic',
      description:
        'Registers a topic in the scope, so that clients can publish events to it and subscribe to it. The roots ' +
          '`sync`, `socket`, `presence` and `system` are reserved.',
      body: ref(TopicCreate),
      response: { 201: ref(Topic, 'The topic.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.topics.create(request.scope, request.body, request.origin)
  })

  app.patch('/:name', {
    config: { permission: 'topics:update' },
    schema: {
      operationId: 'updateTopic',
      tags: ['Topics'],
      summary: 'Change a topic',
      description:
        'Changes the members that are given. `activeSchemaVersion` is the number of an existing version, or null to ' +
          'accept payloads without a check.',
      params: TopicPath,
      body: ref(TopicUpdate),
      response: { 200: ref(Topic, 'The topic.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => app.topics.update(request.scope, request.params.name, request.body, request.origin))

  app.delete('/:name', {
    config: { permission: 'topics:delete' },
    schema: {
      operationId: 'deleteTopic',
      tags: ['Topics'],
      summary: 'Delete a topic',
      description:
        'Deletes a topic and returns it as it was. Its log, schemas, mappings and live subscriptions stay, but ' +
          'nothing can be published to it.',
      params: TopicPath,
      response: { 200: ref(Topic, 'The topic.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.topics.remove(request.scope, request.params.name, request.origin))

  app.post('/:name/events', {
    bodyLimit: publishBytesMax,
    config: { permission: 'events:create' },
    schema: {
      operationId: 'publishEvents',
      tags: ['Topics'],
      summary: 'Publish events',
      description:
        'Appends one event (`payload`, `key?`) or a batch of up to 1,000 (`events`). A batch is stored as a whole or ' +
          'not at all. The response is sent after the commit and contains the offsets: an object for one event, an ' +
          "array for a batch. Payloads are checked against the topic's active schema. With `Prefer: return=minimal`, " +
          'the response has only the place of the events, which is faster for large batches.',
      params: TopicPath,
      headers: PublishHeaders,
      body: ref(PublishBody),
      response: {
        201: {
          description:
            'The event, or the events of the batch, as stored. With `Prefer: return=minimal`, the place of the events.',
          headers: {
            'Preference-Applied': Type.String({ description: '`return=minimal`, if the request prefers it.' })
          },
          content: {
            'application/json': {
              schema: Type.Union([ref(RealtimeEvent), Type.Array(ref(RealtimeEvent)), ref(PublishReceipt)])
            }
          }
        },
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    const { name } = request.params
    const { scope, body, idempotencyKey, prefersMinimal } = request
    request.access.authorizeTopic('publish', name)
    reply.code(201)
    if (!prefersMinimal) return reply.sendSerialized(await app.publisher.publish(scope, name, body, { idempotencyKey }))
    const { offset, count, epoch } = await app.publisher.append(scope, name, body, { idempotencyKey })
    return reply.header('preference-applied', 'return=minimal').sendSerialized(JSON.stringify({ offset, count, epoch }))
  })

  app.get('/:name/events', {
    config: { permission: 'events:read' },
    schema: {
      operationId: 'listEvents',
      tags: ['Topics'],
      summary: 'Read the log',
      description:
        'Returns the retained events of a topic, by offset in either direction. The topic is registered or the ' +
          "platform's own.\n\n" +
          'The times of a log never decrease: if the clock of a node is behind that of the node that wrote the event ' +
          'before, the event gets the time of that one. So `from` and `to` select successive offsets, and a page by ' +
          'time costs what a page by offset costs.\n\n' +
          `With \`key\` or \`filter\`, one request examines at most ${historyScanMax.toLocaleString('en')} events, ` +
          'or 8 MiB of their payloads. The page may then have fewer events than `limit`, or none, although more ' +
          'follow: continue as long as there is an `X-Next-Cursor`.\n\n' +
          'Applications take turns with these requests. If 20 of an application are waiting for a node, further ones ' +
          'get 503 `OVERLOADED`.',
      params: TopicPath,
      querystring: HistoryQuery,
      response: {
        200: pageOf(
          RealtimeEvent,
          'A page of events.',
          nextCursor(
            'The offset to continue at, if there may be more events. To get the next page, pass it as `after`, or as ' +
              '`before` with `order=desc`, and leave the other parameters as they are. A page of large events may ' +
              'have fewer than `limit`.'
          )
        ),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request, reply) => {
    const { name } = request.params
    const { access } = request
    access.authorizeTopic('subscribe', name)
    const { json, nextCursor } = await app.history.read(
      request.scope, name, request.query, { isSeen: event => access.mayReadEvent(event), signal: request.signal }
    )
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return reply.sendSerialized(json)
  })
}
export default topics
