import { seriesMetrics, type SeriesMetric, type SeriesQuery } from '../../../schemas/metric-series.ts'
import { environments, type Scope } from '../../../schemas/scope.ts'
import { ValidationError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { applicationsWith, authorize, authorizeTopic } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { mayReadTopic } from '../../identity/access/reading.ts'
import type { Within } from '../../webhooks/endpoint-rows.ts'
import type { Kind } from './row.ts'
import { definitions } from './series-metrics.ts'
import type { Selection } from './series-rows.ts'

export interface SeriesPartOptions {
  /** Throws NotFoundError `TOPIC_NOT_FOUND`. */
  requireTopic (scope: Scope, topic: string): Promise<void>
  /** Throws NotFoundError `WEBHOOK_NOT_FOUND`. */
  requireWebhook (scope: Scope, webhookId: string, within: Within): Promise<unknown>
}

/** The caller, and the scope of the request; undefined for everything that the caller has access to. */
export interface SeriesAsker { principal: Principal, scope: Scope | undefined }

/** The rows that a request is about, without their time. */
export type Part = Pick<Selection, 'applicationIds' | 'environments' | 'kind' | 'name'>

/** The totals of all scopes, which every node stores. */
export const totals: Part = { applicationIds: [''], environments: [''], kind: 'scope', name: '' }

/**
 * Returns the function that finds the rows of a request and checks that the caller may see them. Throws
 * ValidationError `VALIDATION_FAILED` or `APPLICATION_REQUIRED`, ForbiddenError `PERMISSION_DENIED`, NotFoundError
 * `TOPIC_NOT_FOUND` or `WEBHOOK_NOT_FOUND`.
 */
export function createSeriesPart ({ requireTopic, requireWebhook }: SeriesPartOptions) {
  async function requireReadableTopic (principal: Principal, scope: Scope, topic: string): Promise<void> {
    authorizeTopic(principal, scope, 'subscribe', topic)
    // Events about the channels of documents require more.
    if (!mayReadTopic(principal, scope, topic)) authorize(principal, scope, 'documents:read')
    await requireTopic(scope, topic)
  }

  return async function partOf ({ metric, topic, webhookId }: SeriesQuery, asker: SeriesAsker): Promise<Part> {
    const { principal, scope } = asker
    const { kind, isOfTopic } = definitions[metric]
    const whole = { ...scopesOf(asker), kind, name: '' }
    if (topic === undefined && webhookId === undefined) return whole
    if (topic !== undefined && isOfTopic !== true) {
      throw notKept('/topic', metric, 'topic', name => definitions[name].isOfTopic === true)
    }
    if (webhookId !== undefined && kind !== 'webhook') {
      throw notKept('/webhookId', metric, 'webhook', name => definitions[name].kind === 'webhook')
    }
    if (scope === undefined) throw applicationRequired()
    if (topic !== undefined) {
      await requireReadableTopic(principal, scope, topic)
      return { ...whole, kind: 'topic', name: topic }
    }
    authorize(principal, scope, 'webhooks:read')
    const id = webhookId as string
    await requireWebhook(scope, id, principal.kind === 'token' ? principal.environment : undefined)
    return { ...whole, name: id }
  }
}
export type PartOf = ReturnType<typeof createSeriesPart>

/** Returns the rows that tell whether all topics or webhooks had room in a minute; undefined for whole scopes. */
export function parentOf (part: Part): Part | undefined {
  if (part.name === '') return undefined
  const kind: Kind = part.kind === 'topic' ? 'scope' : part.kind
  return { ...part, kind, name: '' }
}

function scopesOf ({ principal, scope }: SeriesAsker): Pick<Part, 'applicationIds' | 'environments'> {
  if (scope !== undefined) return { applicationIds: [scope.applicationId], environments: [scope.environment] }
  const applicationIds = applicationsWith(principal, 'metrics:read')
  return applicationIds === 'all' ? totals : { applicationIds, environments }
}

function notKept (
  path: string, metric: SeriesMetric, what: string, isKept: (name: SeriesMetric) => boolean
): ValidationError {
  const kept = seriesMetrics.filter(isKept).join(', ')
  return invalid(path, `must be absent for ${metric}. The metrics of a ${what} are ${kept}`)
}

const applicationRequired = () =>
  new ValidationError(
    'APPLICATION_REQUIRED', 'The series of a topic or webhook requires an application. Send its id in X-Application-Id',
    { details: [{ path: '/x-application-id', message: 'is required with a topic or webhook' }] }
  )
