import type { Kysely, Selectable } from 'kysely'
import type { Database, TraceSubscriptionsTable } from '../../db/tables.ts'
import type { ExplainAnswer, ExplainRequest } from '../../schemas/debugger.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { Authenticator } from '../auth/authenticate.ts'
import { permissionsAt } from '../auth/permissions.ts'
import type { Principal } from '../auth/principal.ts'
import { TopicPatterns } from '../auth/topic-patterns.ts'
import { parseFilter } from '../delivery/filters.ts'
import type { Span } from '../delivery/observer.ts'
import type { Live } from '../delivery/subscription.ts'
import { NotFoundError, PublicError } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog } from '../events/log.ts'
import { invalid } from '../json.ts'
import type { Asker } from './asker.ts'
import type { Cause } from './causes.ts'
import { nodeGoneAfterMs } from './nodes.ts'
import type { SubscriptionRecords } from './subscription-records.ts'
import type { TraceReader } from './trace-reader.ts'
import type { TracedEvent } from './traced-event.ts'
import { askFilter, askPermission, askTopic, verdictOf, type Asked, type Verdict } from './verdict.ts'

/** Subscriptions of one credential that are explained, the latest first. */
const subscriptionsExplainedMax = 50
/** How long after its commit another node may not have heard of an event. */
const elsewhereWithinMs = 5000

/** What there is of an event that was asked about: its place in the log, or why it has none. */
export interface Subject {
  topic: string
  eventId: string | null
  traced: TracedEvent | undefined
  logged: LoggedEvent | undefined
}

/** What webhooks can tell. */
export interface WebhookExplainer {
  /** Throws NotFoundError `WEBHOOK_NOT_FOUND`. */
  explain (asker: Pick<Asker, 'scope' | 'within' | 'maySee'>, webhookId: string, event: LoggedEvent): Promise<Asked[]>
}

export interface ExplainerOptions {
  db: Kysely<Database>
  log: EventLog
  reader: TraceReader
  records: SubscriptionRecords
  authenticator: Authenticator
  webhooks: WebhookExplainer
  /** What this node is called. */
  node: string
}

interface SubscriptionState {
  id: string
  environment: Environment
  topic: string
  permitted: TopicPatterns
  filter: ReturnType<typeof parseFilter>
  spans: Record<string, Span>
  isHere: boolean
  node: string
  startedAt: number
  endedAt: number | null
  endReason: string | null
}

/** Answers why an event did, or did not, arrive somewhere: by the very functions that decided it. */
export class Explainer {
  readonly #options: ExplainerOptions

  constructor (options: ExplainerOptions) {
    this.#options = options
  }

  /** Throws NotFoundError (`EVENT_NOT_FOUND`, `SUBSCRIPTION_NOT_FOUND`, `WEBHOOK_NOT_FOUND`), ValidationError. */
  async explain (asker: Asker, request: ExplainRequest): Promise<ExplainAnswer> {
    const { subscriptionId, webhookId, token } = request
    if ([subscriptionId, webhookId, token].filter(target => target !== undefined).length !== 1) {
      throw invalid('', 'must have exactly one of /subscriptionId, /webhookId and /token')
    }
    const subject = await this.#find(asker.scope, request)
    if (token !== undefined) return { eventId: subject.eventId, ...await this.#explainToken(asker, subject, token) }
    const verdict = subscriptionId !== undefined
      ? this.#judge(asker, subject, await this.#state(asker, subscriptionId))
      : await this.#explainWebhook(asker, subject, webhookId as string)
    return { eventId: subject.eventId, ...verdict }
  }

  async #find (scope: Scope, { eventId, topic, offset }: ExplainRequest): Promise<Subject> {
    if (eventId !== undefined) {
      if (topic !== undefined || offset !== undefined) throw invalid('/eventId', 'must not stand beside /topic and /offset')
      const traced = await this.#options.reader.find(scope, eventId)
      if (traced === undefined) throw eventNotFound(`${eventId}; an event that was not sampled can be named by its topic and offset`)
      const logged = await this.#options.reader.logged(traced)
      if (logged === undefined && traced.offset !== null) throw eventNotFound(`${eventId}: the log no longer has it`)
      return { topic: traced.stored.topic, eventId, traced, logged }
    }
    if (topic === undefined || offset === undefined) throw invalid('/eventId', 'is required, or else /topic and /offset')
    const [logged] = await this.#options.log.page(scope, topic, { after: offset - 1, limit: 1 })
    if (logged?.offset !== offset) throw eventNotFound(`${topic} has none at offset ${offset}, or no longer`)
    return { topic, eventId: logged.id, traced: await this.#options.reader.find(scope, logged.id), logged }
  }

  async #explainWebhook (asker: Asker, subject: Subject, webhookId: string): Promise<Verdict> {
    const { logged } = subject
    if (logged === undefined) return verdictOf([askStored(subject)], '')
    const asked = await this.#options.webhooks.explain(asker, webhookId, logged)
    return verdictOf([askStored(subject), ...asked], 'The webhook has accepted it')
  }

  #judge (asker: Asker, subject: Subject, state: SubscriptionState): Verdict {
    const { logged } = subject
    if (logged === undefined) return verdictOf([askStored(subject)], '')
    return verdictOf([
      askStored(subject),
      askEnvironment(asker.scope.environment, state.environment),
      askTopic(state.topic, logged.topic),
      askPermissionOf(state, logged),
      ...this.#askPresence(logged, subject.traced, state),
      ...askFilter(state.filter, logged.value, !asker.maySee(logged.topic))
    ], `It was handed to the socket of ${state.id}`)
  }

  /** Whether the subscription was there for the event, by offsets, which leave no doubt. */
  #askPresence (event: LoggedEvent, traced: TracedEvent | undefined, state: SubscriptionState): Asked[] {
    const { startedAt, endedAt, endReason } = state
    const span = Object.hasOwn(state.spans, event.topic) ? state.spans[event.topic] : undefined
    if (span === undefined) return [this.#askEnd(event, state, Infinity, 0)]
    const isSameLog = span.epoch === event.epoch
    const began: Asked = {
      condition: 'subscribed',
      holds: isSameLog && event.offset > span.after,
      wanted: `above ${span.after}`,
      found: event.offset,
      cause: isSameLog ? 'NOT_SUBSCRIBED_YET' : 'LOG_STARTED_ANEW',
      message: !isSameLog
        ? `The subscription was for the log of epoch ${span.epoch}, the event is of ${event.epoch}`
        : `The subscription began at ${at(startedAt)}, above offset ${span.after}; the event has offset ${event.offset}, of ${at(event.timestamp)}`
    }
    const until = span.until ?? Infinity
    if (endedAt !== null || endReason !== null) return [began, this.#askEnd(event, state, until, event.offset)]
    return [began, this.#askReached(event, traced, state, until)]
  }

  #askEnd (event: LoggedEvent, { endedAt, endReason }: SubscriptionState, until: number, offset: number): Asked {
    if (endedAt === null) {
      return {
        condition: 'connected', holds: false, cause: 'NOT_ROUTED_YET', otherwise: 'pending', message: `The subscription is live, and has not come to ${event.topic} yet`
      }
    }
    const cause: Cause = causeOfEnd(endReason ?? '')
    return {
      condition: 'connected',
      holds: offset !== 0 && offset <= until,
      wanted: offset === 0 ? event.topic : `up to ${until}`,
      found: event.offset,
      cause: offset === 0 && event.timestamp < endedAt ? 'NOT_SUBSCRIBED_YET' : cause,
      message: offset !== 0 && offset <= until
        ? `The subscription was there for it; it ended at ${at(endedAt)}: ${endReason}`
        : `The subscription ended at ${at(endedAt)} (${endReason}), before the event of ${at(event.timestamp)} reached it`
    }
  }

  /** Of a subscription that lives: on this node it is known how far it is, on another by what that one has written. */
  #askReached (event: LoggedEvent, traced: TracedEvent | undefined, state: SubscriptionState, until: number): Asked {
    const here = state.isHere ? event.offset <= until : undefined
    const there = state.isHere || traced?.steps.some(({ node }) => node === state.node) === true || event.offset <= until ||
      Date.now() - event.timestamp > elsewhereWithinMs
    const holds = here ?? there
    return {
      condition: 'connected',
      holds,
      wanted: event.offset,
      ...(state.isHere && { found: until }),
      cause: state.isHere ? 'CATCHING_UP' : 'NOT_ROUTED_YET',
      otherwise: 'pending',
      message: holds ? `The subscription is live, and past offset ${event.offset}` : `The subscription is live, and on its way to offset ${event.offset}`
    }
  }

  async #explainToken (asker: Asker, subject: Subject, token: string): Promise<Omit<ExplainAnswer, 'eventId'>> {
    const { scope } = asker
    const stored = askStored(subject)
    if (subject.logged === undefined) return verdictOf([stored], '')
    let principal: Principal
    try {
      principal = await this.#options.authenticator.authenticate(token.startsWith('sess_') ? token : `Bearer ${token}`)
    } catch (error) {
      if (!(error instanceof PublicError) || error.status !== 401) throw error
      return verdictOf([stored, { condition: 'credential', holds: false, cause: 'CREDENTIAL_INVALID', message: error.message }], '')
    }
    const asked = [stored, ...askCredential(principal, scope, subject.topic)]
    if (asked.some(({ holds }) => !holds)) return verdictOf(asked, '')
    const states = await this.#statesOf(asker, principal.id)
    const subscriptions = states.map(state => ({ subscriptionId: state.id, ...this.#judge(asker, subject, state) }))
    const nearest = subscriptions.reduce<typeof subscriptions[number] | undefined>((best, one) => best === undefined || nearness(one) > nearness(best) ? one : best, undefined)
    const meant = subscriptions.filter(({ cause }) => cause !== 'TOPIC_NOT_MATCHED')
    const found: Asked = {
      condition: 'subscribed',
      holds: meant.length > 0,
      found: meant.length,
      cause: 'NOT_SUBSCRIBED',
      message: meant.length > 0 ? `${meant.length} subscriptions to the topic are known` : `No subscription to ${subject.topic} is known of ${principal.id}`
    }
    const own = verdictOf([...asked, found], '')
    if (nearest === undefined || !found.holds) return { ...own, subscriptions }
    return { outcome: nearest.outcome, cause: nearest.cause, message: nearest.message, conditions: [...own.conditions, ...nearest.conditions.slice(1)], subscriptions }
  }

  async #state (asker: Asker, id: string): Promise<SubscriptionState> {
    await this.#options.records.flush()
    const row = await this.#options.db.selectFrom('trace_subscriptions').selectAll()
      .where('id', '=', id).where('application_id', '=', asker.scope.applicationId).executeTakeFirst()
    if (row === undefined || !asker.mayLookInto(row.environment)) {
      throw new NotFoundError('SUBSCRIPTION_NOT_FOUND', `Subscription not found: ${id}; there was none, or it ended so long ago that nothing is kept of it`)
    }
    const [state] = await this.#toStates([row])
    return state as SubscriptionState
  }

  async #statesOf ({ scope }: Asker, principalId: string): Promise<SubscriptionState[]> {
    await this.#options.records.flush()
    const rows = await this.#options.db.selectFrom('trace_subscriptions').selectAll()
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where('principal_id', '=', principalId)
      .orderBy('started_at', 'desc').limit(subscriptionsExplainedMax).execute()
    return await this.#toStates(rows)
  }

  async #toStates (rows: readonly Selectable<TraceSubscriptionsTable>[]): Promise<SubscriptionState[]> {
    const nodes = await this.#options.db.selectFrom('trace_nodes').selectAll().where('id', 'in', ['', ...new Set(rows.map(({ node }) => node))]).execute()
    const seenAt = new Map(nodes.map(({ id, seen_at: at }) => [id, at]))
    return rows.map(row => this.#toState(row, seenAt.get(row.node) ?? 0))
  }

  #toState (row: Selectable<TraceSubscriptionsTable>, nodeSeenAt: number): SubscriptionState {
    const isHere = row.node === this.#options.node
    const live: Live | undefined = isHere ? this.#options.records.find(row.id) : undefined
    const isGone = row.ended_at === null && (isHere ? live === undefined : nodeSeenAt < Date.now() - nodeGoneAfterMs)
    return {
      id: row.id,
      environment: row.environment,
      topic: row.topic,
      permitted: live === undefined ? new TopicPatterns(JSON.parse(row.permissions) as string[]) : permissionsAt(live.connection.principal, live.connection.scope).subscribe,
      filter: live === undefined ? row.filter === null ? undefined : parseFilter(JSON.parse(row.filter) as Record<string, unknown>) : live.filter,
      spans: live === undefined ? JSON.parse(row.spans) as Record<string, Span> : live.spans(),
      isHere: live !== undefined,
      node: row.node,
      startedAt: row.started_at,
      endedAt: isGone ? nodeSeenAt : row.ended_at,
      endReason: isGone ? 'NODE_GONE' : row.end_reason
    }
  }
}

export const eventNotFound = (what: string): NotFoundError => new NotFoundError('EVENT_NOT_FOUND', `Event not found: ${what}`)

const at = (time: number): string => new Date(time).toISOString()

function askStored ({ traced, logged }: Subject): Asked {
  if (logged !== undefined) {
    return { condition: 'stored', holds: true, found: logged.offset, message: `It is in the log of ${logged.topic} at offset ${logged.offset}` }
  }
  const error = traced?.stored.refusal?.error
  return {
    condition: 'stored', holds: false, found: error?.code ?? null, cause: 'EVENT_REFUSED', message: `It was refused (${error?.code ?? 'unknown'}): ${error?.message ?? ''}`
  }
}

/** What came while it was permitted did so with whatever permission there was then. */
function askPermissionOf ({ spans, permitted }: SubscriptionState, { topic, epoch, offset }: LoggedEvent): Asked {
  const span = Object.hasOwn(spans, topic) ? spans[topic] : undefined
  const asked = askPermission(permitted, topic)
  if (asked.holds || span?.epoch !== epoch || offset <= span.after || offset > (span.until ?? Infinity)) return asked
  return { condition: 'permission', holds: true, message: `Subscribing to ${topic} was permitted when it came` }
}

const askEnvironment = (wanted: Environment, found: Environment): Asked => ({
  condition: 'environment',
  holds: wanted === found,
  wanted,
  found,
  cause: 'ENVIRONMENT_DIFFERS',
  message: wanted === found ? `Both are of ${wanted}` : `The event is of ${wanted}, the subscription of ${found}`
})

/** What a credential must be to see the topic at all. Of another application's nothing is told. */
function askCredential (principal: Principal, scope: Scope, topic: string): Asked[] {
  const isOfApplication = principal.kind === 'session'
    ? principal.grants.reachesAll || principal.grants.byApplication.has(scope.applicationId)
    : principal.applicationId === scope.applicationId
  if (!isOfApplication) return [{ condition: 'application', holds: false, cause: 'APPLICATION_DIFFERS', message: 'The credential does not reach this application' }]
  const pinned = principal.kind === 'token' ? principal.environment : undefined
  return [
    { condition: 'credential', holds: true, message: 'The credential is valid' },
    { condition: 'application', holds: true, message: 'The credential reaches this application' },
    {
      condition: 'environment',
      holds: pinned === undefined || pinned === scope.environment,
      wanted: scope.environment,
      ...(pinned !== undefined && { found: pinned }),
      cause: 'ENVIRONMENT_DIFFERS',
      message: pinned === undefined ? 'The credential is not pinned to an environment' : `The credential is pinned to ${pinned}, the event is of ${scope.environment}`
    },
    askPermission(permissionsAt(principal, scope).subscribe, topic)
  ]
}

/** How far an event has come with a subscription: of several the one where it came furthest has the answer. */
const nearness = ({ outcome, conditions }: Verdict): number =>
  (outcome === 'delivered' ? 1000 : outcome === 'pending' ? 500 : 0) + conditions.findIndex(({ holds }) => !holds)

function causeOfEnd (reason: string): Cause {
  switch (reason) {
    case 'UNSUBSCRIBED': return 'UNSUBSCRIBED'
    case 'NODE_GONE': return 'NODE_GONE'
    case 'SLOW_CONSUMER':
    case 'RETENTION_PASSED':
    case 'PATTERN_TOO_WIDE':
    case 'DATABASE_UNAVAILABLE': return 'RESYNCED'
    case 'PERMISSION_DENIED': return 'PERMISSION_DENIED'
    default: return 'NOT_CONNECTED'
  }
}
