import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import {
  EventPath,
  ExplainAnswer,
  ExplainRequest,
  Replay,
  ReplayPath,
  ReplayQuery,
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
  const { debugger: { askerFor, reader, streams, router, explainer }, replays } = app

  app.get('/traces', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'listTraces',
      tags: ['Debugger'],
      summary: 'List traces',
      description:
        'Returns traces of the events of the scope, newest first: whether each was stored or rejected, and how many ' +
          'recipients it had. Traces are stored in the background within half a second. Sampling can limit ' +
          'them to a share of the events.',
      querystring: TraceQuery,
      response: {
        200: pageOf(
          TraceSummary,
          'A page of traces. If few events match the filter, it may be shorter than `limit` although more pages ' +
            'follow.'
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
        'Returns everything recorded about one event: received, checked, stored, routed and delivered on each node, ' +
          'and its webhook deliveries with their attempts. The payload and the recipients require permission to ' +
          'subscribe to the topic.',
      params: EventPath,
      response: { 200: ref(Trace, 'The trace.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => reader.get(askerFor(request.principal, request.scope), request.params.eventId))

  app.get('/stream', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'streamTraces',
      tags: ['Debugger'],
      summary: 'Stream traces',
      description:
        'Sends server-sent events. `trace`: a summary as in the list, sent again when an event has new details. ' +
          '`dropped`: traces are missing at this point. `closing`: the server ends the stream, with the reason. With ' +
          '`Last-Event-ID` the stream continues after that message.',
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
    return reply.headers({ 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' })
      .sendSerialized(stream, 'text/event-stream; charset=utf-8')
  })

  app.post('/route', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'routeEvent',
      tags: ['Debugger'],
      summary: 'Predict where an event would go',
      description:
        'Returns whether the topic exists, its active schema version, whether the payload is valid, and which live ' +
          'subscriptions and webhooks the event would match, with reasons. Stores and sends nothing.',
      body: ref(RouteRequest),
      response: { 200: ref(RouteAnswer, 'The prediction.'), ...refusals(400, 401, 403, 413, 415) }
    }
  }, async (request) => router.route(askerFor(request.principal, request.scope), request.body))

  app.post('/explain', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'explainEvent',
      tags: ['Debugger'],
      summary: 'Explain why an event did or did not arrive',
      description:
        'For one event and one subscription, webhook or token, returns each condition for its arrival, with the ' +
          'values that decided it, and the cause. Values of the payload require permission to subscribe to the topic.',
      body: ref(ExplainRequest),
      response: { 200: ref(ExplainAnswer, 'The explanation.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => explainer.explain(askerFor(request.principal, request.scope), request.body))

  app.get('/sampling', {
    config: { permission: 'debugger:read' },
    schema: {
      operationId: 'getTraceSampling',
      tags: ['Debugger'],
      summary: 'Get the sampling rate',
      description: 'Returns the share of events that is traced in this environment. Rejections are always traced.',
      response: { 200: ref(Sampling, 'The share.'), ...refusals(400, 401, 403) }
    }
  }, async (request) => app.tracing.sampling.setting(request.scope))

  app.put('/sampling', {
    config: { permission: 'debugger:update' },
    schema: {
      operationId: 'setTraceSampling',
      tags: ['Debugger'],
      summary: 'Set the sampling rate',
      description:
        'Sets the share of events to trace in this environment, on every node within two seconds. Null restores the ' +
          'default of the server.',
      body: ref(SamplingUpdate),
      response: { 200: ref(Sampling, 'The share.'), ...refusals(400, 401, 403, 413, 415) }
    }
  }, async (request) => app.tracing.sampling.set(request.scope, request.body.sample, request.origin))

  app.post('/replay', {
    config: { permission: 'debugger:create' },
    schema: {
      operationId: 'replayEvents',
      tags: ['Debugger'],
      summary: 'Replay events',
      description:
        'Sends stored events again to live subscriptions that match them now, to webhooks, or to both, at a limited ' +
          'rate. A replayed event keeps its ID, topic and offset and has `meta.replayOf`. It is not stored again, ' +
          'and no position of a subscriber moves. Requires permission to publish to the topics. A dry run only counts.',
      body: ref(ReplayRequest),
      response: {
        200: ref(Replay, 'The result of a dry run.'),
        202: ref(Replay, 'The replay, which has started.'),
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
      description: 'Returns the replays of the scope. Finished ones are kept for a week.',
      querystring: ReplayQuery,
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
      description: 'Returns the progress of a replay.',
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
        description: 'Sending stops within a moment. Events already sent stay sent. A finished replay stays as it is.',
        params: ReplayPath, response: { 200: ref(Replay, 'The replay.'), ...refusals(400, 401, 403, 404) }
      }
    },
    async (request) =>
      replays.cancel(request.scope, request.params.id, request.origin, askerFor(request.principal, request.scope))
  )

  const requesterOf = ({ principal, scope, access }: Pick<FastifyRequest, 'principal' | 'scope' | 'access'>) => ({
    id: principal.id,
    ...askerFor(principal, scope),
    authorize: (topic: string) => access.authorizeTopic('publish', topic)
  })
}
export default debuggerRoutes
