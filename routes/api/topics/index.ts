import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdempotencyHeaders, nextCursor, pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'
import { HistoryQuery, PublishBody, RealtimeEvent } from '../../../schemas/events.ts'
import { Topic, TopicCreate, TopicPath, TopicUpdate } from '../../../schemas/topics.ts'

/** 1,000 payloads of 256 KiB would be more: whoever has large ones sends fewer at a time. */
const publishBytesMax = 8 * 1024 * 1024
const jsonType = 'application/json; charset=utf-8'

const topics: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'topics:read' },
    schema: {
      operationId: 'listTopics',
      tags: ['Topics'],
      summary: 'List topics',
      description:
        "The registered topics of the scope, in the order of their names. The platform's own (`sync.…`, `socket.…`, `presence.…`) are not listed: they exist by themselves.",
      querystring: PageQuery,
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
      description: 'One registered topic.',
      params: TopicPath,
      response: { 200: ref(Topic, 'The topic.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.topics.get(request.scope, request.params.name))

  app.post('/', {
    config: { permission: 'topics:create' },
    schema: {
      operationId: 'createTopic',
      tags: ['Topics'],
      summary: 'Create a topic',
      description:
        'Registers a topic in the scope, so that events may be published to it and subscribed to. The roots `sync`, ' +
          '`socket`, `presence` and `system` are reserved.',
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
        'Changes what is given. `activeSchemaVersion` names a version that exists, or null to stop enforcing.',
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
        'Answers the topic as it was. Its log, schemas, mappings and live subscriptions stay; nothing more can be ' +
          'published to it.',
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
        "Appends one event (`payload`, `key?`) or a batch of up to 1,000 (`events`), of which all are stored or none. The answer comes after the commit and has the offsets: an object for one, an array for a batch. Payloads are checked against the topic's active schema.",
      params: TopicPath,
      headers: IdempotencyHeaders,
      body: ref(PublishBody),
      response: {
        201: {
          description: 'The event, or the events of the batch, as stored.',
          content: { 'application/json': { schema: Type.Union([ref(RealtimeEvent), Type.Array(ref(RealtimeEvent))]) } }
        },
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    const { name } = request.params
    app.auth.authorizeTopic(request.principal, request.scope, 'publish', name)
    const events = await app.publisher.publish(request.scope, name, request.body, {
      idempotencyKey: request.idempotencyKey
    })
    return reply.code(201).header('content-type', jsonType).send(events as never)
  })

  app.get('/:name/events', {
    config: { permission: 'events:read' },
    schema: {
      operationId: 'listEvents',
      tags: ['Topics'],
      summary: 'Read the log',
      description: 'The retained events of a topic, registered or the platform\'s own, in the order of their offsets.',
      params: TopicPath,
      querystring: HistoryQuery,
      response: {
        200: pageOf(
          RealtimeEvent,
          'A page of events.',
          nextCursor(
            'The last offset, when the log has more: pass it as `after` for the ' +
              'next page, which may be shorter than `limit` when events are large.'
          )
        ),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request, reply) => {
    const { name } = request.params
    app.auth.authorizeTopic(request.principal, request.scope, 'subscribe', name)
    const { json, nextCursor } = await app.topics.history(
      request.scope, name, request.query, event => app.auth.mayReadEvent(request.principal, request.scope, event)
    )
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return reply.header('content-type', jsonType).send(json as never)
  })
}
export default topics
