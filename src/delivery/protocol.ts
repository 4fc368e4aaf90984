import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import type { TSchema, Static } from '@sinclair/typebox'
import type { Authenticator } from '../auth/authenticate.ts'
import { authorizeTopic } from '../auth/permissions.ts'
import type { DeliveryLimits } from '../config.ts'
import { ForbiddenError, RateLimitError, toPublicError, ValidationError } from '../errors.ts'
import type { EventLog, LogPosition } from '../events/log.ts'
import type { Metrics } from '../metrics.ts'
import { AuthRequest, SubscribeRequest, UnsubscribeRequest, type SubscribeAnswer } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { CatchUp } from './catch-up.ts'
import type { Connection } from './connection.ts'
import { parseFilter } from './filters.ts'
import type { Hub } from './hub.ts'
import { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

export interface ProtocolOptions {
  hub: Hub
  log: EventLog
  catchUp: CatchUp
  authenticator: Authenticator
  limits: DeliveryLimits
  metrics: Metrics
  logger: { error (fields: object, message: string): void }
  /** Throws NotFoundError `TOPIC_NOT_FOUND` unless the topic is registered or exists by itself. */
  requireTopic (scope: Scope, topic: string): Promise<void>
}

/** Sends the answer of a request; whatever the request starts, starts after it. */
export type Respond = (answer: object) => void

/**
 * The requests that a client can make over a socket, the same for every transport: a gateway takes the link's form off,
 * calls `handle`, and puts the answer into that form again.
 */
export function createProtocol (options: ProtocolOptions) {
  const requests: Record<string, (connection: Connection, fields: unknown, respond: Respond) => Promise<void> | void> = {
    subscribe: (connection, fields, respond) => subscribe(options, connection, checked(checks.subscribe, fields), respond),
    unsubscribe: (connection, fields, respond) => {
      const { subscriptionId } = checked(checks.unsubscribe, fields)
      connection.subscription(subscriptionId).end()
      respond({ subscriptionId })
    },
    auth: (connection, fields, respond) => refresh(options.authenticator, connection, checked(checks.auth, fields).token, respond)
  }
  return {
    /** Whether a request of that name exists. */
    has: (name: string) => Object.hasOwn(requests, name),
    /** Handles one request. Rejects with a PublicError, whatever went wrong; the connection lives on. */
    async handle (connection: Connection, name: string, fields: unknown, respond: Respond): Promise<void> {
      try {
        const request = Object.hasOwn(requests, name) ? requests[name] : undefined
        if (request === undefined) {
          throw new ValidationError('FRAME_INVALID', `Unknown request: ${String(name).slice(0, 100)}; there are ${Object.keys(requests).join(', ')}`)
        }
        await request(connection, fields, respond)
      } catch (error) {
        const refusal = toPublicError(error)
        if (refusal.status === 500) options.logger.error({ err: error, request: name, connectionId: connection.id }, 'socket.request_failed')
        throw refusal
      }
    }
  }
}
export type Protocol = ReturnType<typeof createProtocol>

const checks = {
  subscribe: TypeCompiler.Compile(SubscribeRequest),
  unsubscribe: TypeCompiler.Compile(UnsubscribeRequest),
  auth: TypeCompiler.Compile(AuthRequest)
}

/** Throws ValidationError that names the first field that is wrong. */
function checked<T extends TSchema> (check: TypeCheck<T>, fields: unknown): Static<T> {
  if (check.Check(fields)) return fields
  const first = check.Errors(fields).First()
  const path = first?.path ?? ''
  const message = first?.message ?? 'is wrong'
  throw new ValidationError('VALIDATION_FAILED', `${path === '' ? 'The request' : path.slice(0, 200)}: ${message}`, { details: [{ path, message }] })
}

async function subscribe (options: ProtocolOptions, connection: Connection, request: SubscribeRequest, respond: Respond): Promise<void> {
  const { hub, log, limits, metrics } = options
  const { scope } = connection
  const filter = parseFilter(request.filter)
  if (connection.subscriptions.size >= limits.subscriptionsPerConnectionMax) {
    throw new RateLimitError('SUBSCRIPTION_LIMIT', `The connection holds ${limits.subscriptionsPerConnectionMax} subscriptions, the most it may`)
  }
  authorizeTopic(connection.principal, scope, 'subscribe', request.topic)
  await options.requireTopic(scope, request.topic)
  const feed = await hub.enter(scope, request.topic)
  try {
    const wantsHistory = request.after !== undefined || request.rewind !== undefined
    const start = wantsHistory ? startOf(request, await log.position(scope, request.topic), feed) : undefined
    if (!connection.isOpen) return
    const position = start?.position ?? feed.position
    const subscription = new Subscription(connection, feed, { filter, returnMode: request.returnMode ?? 'full', position })
    connection.add(subscription)
    const recovered = start?.recovered ?? false
    const answer: SubscribeAnswer = { subscriptionId: subscription.id, topic: request.topic, offset: position, epoch: feed.epoch, recovered }
    respond(answer)
    if (request.after !== undefined) metrics.catchUps.inc({ outcome: recovered ? 'recovered' : 'lost' })
    await join(options, subscription, feed)
  } finally {
    feed.leave()
  }
}

/** Where a subscription with `after` or `rewind` starts: its position, and whether nothing since `after` is lost. */
function startOf (request: SubscribeRequest, log: LogPosition, feed: TopicFeed): { position: number, recovered: boolean } {
  const { after, rewind } = request
  const isSameLog = request.epoch === undefined || request.epoch === log.epoch
  if (after !== undefined && isSameLog && after <= log.head && after >= log.earliest - 1) return { position: after, recovered: true }
  const oldest = rewind === undefined ? feed.position : Math.max(log.earliest - 1, log.head - rewind)
  return { position: Math.min(oldest, feed.position), recovered: false }
}

/** Attaches in the same turn when there is no history to deliver; otherwise catches up first. */
async function join ({ catchUp, logger }: ProtocolOptions, subscription: Subscription, feed: TopicFeed): Promise<void> {
  if (subscription.position >= feed.position) return feed.attach(subscription)
  try {
    if (await catchUp.run(subscription, feed)) return
    subscription.connection.resync(subscription, {
      code: 'RETENTION_PASSED', message: 'Retention has passed the subscription while it was catching up: subscribe again'
    })
  } catch (err) {
    logger.error({ err, subscriptionId: subscription.id }, 'socket.catch_up_failed')
    subscription.connection.resync(subscription, { code: 'DATABASE_UNAVAILABLE', message: 'The log could not be read: subscribe again with `after`' })
  }
}

/** Gives a connection a fresh credential of the same subject and scope. */
async function refresh (authenticator: Authenticator, connection: Connection, token: string, respond: Respond): Promise<void> {
  const principal = await authenticator.authenticate(token.startsWith('sess_') ? token : `Bearer ${token}`)
  if (principal.id !== connection.principal.id || !reaches(principal, connection.scope)) {
    throw new ForbiddenError('PERMISSION_DENIED', 'A fresh token must be for the same subject, application and environment')
  }
  connection.principal = principal
  respond({ expiresAt: principal.expiresAt })
}

const reaches = (principal: Connection['principal'], scope: Scope) =>
  principal.kind === 'session' || (principal.applicationId === scope.applicationId && (principal.environment ?? scope.environment) === scope.environment)
