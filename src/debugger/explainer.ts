import type { ExplainAnswer, ExplainRequest } from '../../schemas/debugger.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { Authenticator } from '../identity/auth/authenticator.ts'
import { permissionsAt, reachesApplication } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { PublicError } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { invalid } from '../foundation/json.ts'
import type { Asker } from './asker.ts'
import { askWindow, isInWindow } from './subscription-window.ts'
import { askStored, findSubject, type Subject, type SubjectsOptions } from './subject.ts'
import type { SubscriptionState, SubscriptionHistory } from './subscription-history.ts'
import { askFilter, askPermission, askTopic, verdictOf, type Asked, type Verdict } from './verdict.ts'

/** Explains deliveries to webhooks. */
export interface WebhookExplainer {
  /** Throws NotFoundError `WEBHOOK_NOT_FOUND`. */
  explain (asker: Pick<Asker, 'scope' | 'within' | 'maySee'>, webhookId: string, event: LoggedEvent): Promise<Asked[]>
}

export interface ExplainerOptions extends SubjectsOptions {
  subscriptions: SubscriptionHistory
  authenticator: Authenticator
  webhooks: WebhookExplainer
}

/** Explains why an event did or did not arrive somewhere, using the functions that delivery itself uses. */
export class Explainer {
  readonly #options: ExplainerOptions

  constructor (options: ExplainerOptions) {
    this.#options = options
  }

  /** Throws NotFoundError (`EVENT_NOT_FOUND`, `SUBSCRIPTION_NOT_FOUND`, `WEBHOOK_NOT_FOUND`) or ValidationError. */
  async explain (asker: Asker, request: ExplainRequest): Promise<ExplainAnswer> {
    const { subscriptionId, webhookId, token } = request
    if ([subscriptionId, webhookId, token].filter(target => target !== undefined).length !== 1) {
      throw invalid('', 'must have exactly one of /subscriptionId, /webhookId and /token')
    }
    const subject = await findSubject(this.#options, asker.scope, request)
    if (token !== undefined) return { eventId: subject.eventId, ...await this.#explainToken(asker, subject, token) }
    const verdict = subscriptionId !== undefined
      ? this.#judge(asker, subject, await this.#options.subscriptions.get(asker, subscriptionId))
      : await this.#explainWebhook(asker, subject, webhookId as string)
    return { eventId: subject.eventId, ...verdict }
  }

  async #explainWebhook (asker: Asker, subject: Subject, webhookId: string): Promise<Verdict> {
    const { logged } = subject
    if (logged === undefined) return verdictOf(askStored(subject, asker.maySee), '')
    const asked = await this.#options.webhooks.explain(asker, webhookId, logged)
    return verdictOf([...askStored(subject, asker.maySee), ...asked], 'The webhook endpoint accepted the event')
  }

  #judge (asker: Asker, subject: Subject, state: SubscriptionState): Verdict {
    const { logged } = subject
    if (logged === undefined) return verdictOf(askStored(subject, asker.maySee), '')
    return verdictOf([
      ...askStored(subject, asker.maySee),
      askEnvironment(asker.scope.environment, state.environment),
      askTopic(state.topic, logged.topic),
      askPermissionThen(logged, state),
      ...askWindow(logged, subject.traced, state),
      ...askFilter(state.filter, logged.value, !asker.maySee(logged.topic))
    ], `The event was sent to the socket of subscription ${state.id}`)
  }

  async #explainToken (asker: Asker, subject: Subject, token: string): Promise<Omit<ExplainAnswer, 'eventId'>> {
    const { scope } = asker
    const stored = askStored(subject, asker.maySee)
    if (subject.logged === undefined) return verdictOf(stored, '')
    let principal: Principal
    try {
      principal = await this.#options.authenticator.authenticate(token.startsWith('sess_') ? token : `Bearer ${token}`)
    } catch (error) {
      if (!(error instanceof PublicError) || error.status !== 401) throw error
      return verdictOf([...stored, {
        condition: 'credential', holds: false, cause: 'CREDENTIAL_INVALID', message: error.message
      }], '')
    }
    const asked = [...stored, ...askCredential(principal, scope, subject.topic)]
    if (asked.some(({ holds }) => !holds)) return verdictOf(asked, '')
    const states = await this.#options.subscriptions.of(asker, principal.id)
    const subscriptions = states.map(state => ({ subscriptionId: state.id, ...this.#judge(asker, subject, state) }))
    const nearest = subscriptions.reduce<typeof subscriptions[number] | undefined>(
      (best, one) => best === undefined || nearness(one) > nearness(best) ? one : best, undefined
    )
    const meant = subscriptions.filter(({ cause }) => cause !== 'TOPIC_NOT_MATCHED')
    const found: Asked = {
      condition: 'subscribed',
      holds: meant.length > 0,
      found: meant.length,
      cause: 'NOT_SUBSCRIBED',
      message: meant.length > 0
        ? `${meant.length} subscriptions to the topic were found`
        : `No subscription of ${principal.id} to ${subject.topic} was found`
    }
    const own = verdictOf([...asked, found], '')
    if (nearest === undefined || !found.holds) return { ...own, subscriptions }
    return {
      outcome: nearest.outcome, cause: nearest.cause, message: nearest.message,
      conditions: [...own.conditions, ...nearest.conditions.slice(stored.length)], subscriptions
    }
  }
}

function askPermissionThen (event: LoggedEvent, state: SubscriptionState): Asked {
  const asked = askPermission(state.permitted, event.topic)
  if (asked.holds || !isInWindow(event, state)) return asked
  return {
    condition: 'permission', holds: true, message: `Subscribing to ${event.topic} was permitted when the event arrived`
  }
}

const askEnvironment = (wanted: Environment, found: Environment): Asked => ({
  condition: 'environment',
  holds: wanted === found,
  wanted,
  found,
  cause: 'ENVIRONMENT_DIFFERS',
  message: wanted === found
    ? `Event and subscription are both in ${wanted}`
    : `The event is in ${wanted}, the subscription in ${found}`
})

/** Checks whether a credential can reach the topic at all. Reveals nothing about other applications. */
function askCredential (principal: Principal, scope: Scope, topic: string): Asked[] {
  if (!reachesApplication(principal, scope.applicationId)) {
    return [{
      condition: 'application', holds: false, cause: 'APPLICATION_DIFFERS',
      message: 'The credential does not reach this application'
    }]
  }
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
      message: pinned === undefined
        ? 'The credential is not pinned to an environment'
        : `The credential is pinned to ${pinned}, but the event is in ${scope.environment}`
    },
    askPermission(permissionsAt(principal, scope).subscribe, topic)
  ]
}

/** Ranks how far an event came with a subscription. The highest-ranked subscription gives the answer. */
const nearness = ({ outcome, conditions }: Verdict): number =>
  ({ delivered: 3000, pending: 2000, unknown: 1000, not_delivered: 0 })[outcome] +
  conditions.findIndex(({ holds }) => !holds)
