import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'
import {
  EventPath,
  ExplainAnswer,
  ExplainRequest,
  Replay,
  ReplayPath,
  ReplayRequest,
  RouteAnswer,
  RouteRequest,
  Sampling,
  SamplingUpdate,
  StreamHeaders,
  StreamQuery,
  Trace,
  TraceQuery,
  TraceSummary
} from '../../../schemas/debugger.ts'

const debuggerRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { askerFor, reader, streams, router, explainer, replays } = app.debugger

  app.get('/traces', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'listTraces',
      tags: ['Debugger'],
      summary: 'List traces',
      description:
        'What became of the events of the scope, the newest first: stored or refused, to how many they went. Traces ' +
          'are written in the background, within half a second, and of a sample where that is set.',
      querystring: TraceQuery,
      response: {
        200: pageOf(
          TraceSummary,
          'A page of traces. It may be shorter than `limit`, and yet have a next one, where few events are what is ' +
            'looked for.'
        ),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await reader.list(askerFor(request.principal, request.scope), request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/traces/:eventId', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'getTrace',
      tags: ['Debugger'],
      summary: 'Get a trace',
      description:
        'The whole life of one event: received, checked, stored, routed and delivered on each node, and its webhook ' +
          'deliveries with their attempts. The payload, and to whom it went, are there for whoever may subscribe to ' +
          'the topic.',
      params: EventPath,
      response: { 200: ref(Trace, 'The trace.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => reader.get(askerFor(request.principal, request.scope), request.params.eventId))

  app.get('/stream', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'streamTraces',
      tags: ['Debugger'],
      summary: 'Follow traces',
      description:
        'Server-sent events: `trace` with a summary as in the list, again when there is more to say of an event; ' +
          '`dropped` where traces are missing; `closing` with a reason before the server ends it. Goes on after ' +
          '`Last-Event-ID`.',
      querystring: StreamQuery,
      headers: StreamHeaders,
      produces: ['text/event-stream'],
      response: {
        200: {
          description: 'The stream. It ends when the credential does.',
          content: {
            'text/event-stream': {
              schema: Type.String({
                examples: ['id: eyJub2RlX2EiOjF9\nevent: trace\ndata: {"eventId":"evt_b3F0aGVyZXZlbnQx"}\n\n']
              })
            }
          }
        },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const stream = await streams.open(request.scope, request.principal, request.query, request.headers['last-event-id'])
    return reply.headers({
      'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no'
    }).send(stream as never)
  })

  app.post('/route', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'routeEvent',
      tags: ['Debugger'],
      summary: 'Try where an event would go',
      description:
        'Whether the topic is there, which schema version guards it, whether the payload is valid, which live ' +
          'subscriptions and webhooks it would match, and why or why not. Nothing is stored or sent.',
      body: ref(RouteRequest),
      response: { 200: ref(RouteAnswer, 'What would become of it.'), ...refusals(400, 401, 403, 413, 415) }
    }
  }, async (request) => router.route(askerFor(request.principal, request.scope), request.body))

  app.post('/explain', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'explainEvent',
      tags: ['Debugger'],
      summary: 'Explain why an event did or did not arrive',
      description:
        'For one event and one subscription, webhook or token: every condition on the way, with the values that ' +
          'decided it, and the cause. Values of the payload are there for whoever may subscribe to the topic.',
      body: ref(ExplainRequest),
      response: { 200: ref(ExplainAnswer, 'The explanation.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => explainer.explain(askerFor(request.principal, request.scope), request.body))

  app.get('/sampling', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'getTraceSampling',
      tags: ['Debugger'],
      summary: 'Get the share of events that is traced',
      description: 'Of this environment. Refusals are always traced.',
      response: { 200: ref(Sampling, 'The share.'), ...refusals(400, 401, 403) }
    }
  }, async (request) => app.tracing.sampling.setting(request.scope))

  app.put('/sampling', {
    config: { permission: 'debugger:update' },
    schema: {
      operationId: 'setTraceSampling',
      tags: ['Debugger'],
      summary: 'Set the share of events that is traced',
      description: 'Of this environment, on every node within two seconds; null is as the server is configured.',
      body: ref(SamplingUpdate),
      response: { 200: ref(Sampling, 'The share.'), ...refusals(400, 401, 403, 413, 415) }
    }
  }, async (request) => app.tracing.sampling.set(request.scope, request.body.sample, request.origin))

  app.post('/replay', {
    config: { permission: 'debugger:create' },
    schema: {
      operationId: 'replayEvents',
      tags: ['Debugger'],
      summary: 'Send events again',
      description:
        "To live subscriptions that match them by now, to webhooks, or both, at a rate. A replayed event keeps its id, topic and offset and carries `meta.replayOf`; nothing is stored again, and nobody's position moves. Needs the permission to publish to the topics. A dry run only counts.",
      body: ref(ReplayRequest),
      response: {
        200: ref(Replay, 'Of a dry run: what it would come to.'),
        202: ref(Replay, 'The replay, which has begun.'),
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    const replay = await replays.create(request.scope, requesterOf(request), request.body, request.origin)
    return reply.code(replay.state === 'dry_run' ? 200 : 202).send(replay)
  })

  app.get('/replays', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'listReplays',
      tags: ['Debugger'],
      summary: 'List replays',
      description: 'Of the scope, the newest first. Finished ones are kept for a week.',
      querystring: PageQuery,
      response: {
        200: pageOf(Replay, 'A page of replays.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await replays.list(
      request.scope, request.query, askerFor(request.principal, request.scope)
    )
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/replays/:id', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'getReplay',
      tags: ['Debugger'],
      summary: 'Get a replay',
      description: 'How far it is.',
      params: ReplayPath,
      response: { 200: ref(Replay, 'The replay.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => replays.get(request.scope, request.params.id, askerFor(request.principal, request.scope)))

  app.post(
    '/replays/:id/cancel',
    {
      config: { permission: 'debugger:create' },
      schema: {
        operationId: 'cancelReplay', tags: ['Debugger'], summary: 'Cancel a replay',
        description: 'Within a moment nothing more is sent. What was sent is sent; one that is over stays as it is.',
        params: ReplayPath, response: { 200: ref(Replay, 'The replay.'), ...refusals(400, 401, 403, 404) }
      }
    },
    async (request) =>
      replays.cancel(request.scope, request.params.id, request.origin, askerFor(request.principal, request.scope))
  )

  const requesterOf = ({ principal, scope }: Pick<FastifyRequest, 'principal' | 'scope'>) => ({
    id: principal.id,
    ...askerFor(principal, scope),
    authorize: (topic: string) => app.auth.authorizeTopic(principal, scope, 'publish', topic)
  })
}
export default debuggerRoutes
