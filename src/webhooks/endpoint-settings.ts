import type { Scope } from '../../schemas/scope.ts'
import type { WebhookUpdate } from '../../schemas/webhooks.ts'
import type { Principal } from '../identity/access/principal.ts'
import { authorizeListeningTo, type ListensTo } from '../identity/access/reading.ts'
import { isTopicPattern } from '../foundation/topic-pattern.ts'
import { acceptFilter } from '../delivery/matching/filter.ts'
import { ForbiddenError, ValidationError } from '../errors.ts'
import { invalid } from '../foundation/json.ts'
import { ForbiddenAddressError, type AddressGuard } from './http/address-guard.ts'
import type { EndpointValues, Within } from './endpoint-rows.ts'

/** Checks the fields that create and update share. A pinned token may only name its own environment. */
export function valuesOf (input: WebhookUpdate, within: Within): Partial<Omit<EndpointValues, 'url' | 'secrets'>> {
  const { events, topics, filter, environments, ordering, rateLimit, description } = input
  for (const [i, pattern] of (topics ?? []).entries()) {
    if (!isTopicPattern(pattern)) {
      throw invalid(
        `/topics/${i}`,
        'is not a topic or a pattern: `*` stands for one segment, `**` at the end for all remaining segments'
      )
    }
  }
  if (filter !== undefined && filter !== null) acceptFilter(filter)
  if (
    within !== undefined && environments !== undefined &&
    (environments === null || environments.some(one => one !== within))
  ) {
    throw new ForbiddenError(
      'ENVIRONMENT_FORBIDDEN', `The token is pinned to ${within} and can only manage webhooks of that environment alone`
    )
  }
  return {
    ...(events !== undefined && { events }),
    ...(topics !== undefined && { topics }),
    ...(filter !== undefined && { filter: filter === null ? null : JSON.stringify(filter) }),
    ...(environments !== undefined && { environments }),
    ...(ordering !== undefined && { ordering }),
    ...(rateLimit !== undefined && { rate_limit: rateLimit }),
    ...(description !== undefined && { description })
  }
}

/** Returns the URL without its fragment. Throws ValidationError `WEBHOOK_URL_FORBIDDEN` for a forbidden address. */
export function checkUrl (text: string, guard: AddressGuard): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw invalid('/url', 'must be a URL')
  }
  if (url.username !== '' || url.password !== '') throw invalid('/url', 'must not contain a user name or a password')
  try {
    guard.checkScheme(url.protocol, url.hostname)
    guard.checkHost(url.hostname)
  } catch (error) {
    if (error instanceof ForbiddenAddressError) throw forbiddenUrl(error.message)
    throw error
  }
  url.hash = ''
  return url.href
}

const forbiddenUrl = (reason: string) =>
  new ValidationError('WEBHOOK_URL_FORBIDDEN', `The webhook URL is not allowed: ${reason}`, {
    details: [{ path: '/url', message: reason }]
  })

/** Fields that decide which events go to which endpoint. */
const decisive = ['url', 'events', 'topics', 'filter', 'environments'] as const

/**
 * Returns whether the change decides what goes where, which makes the principal the reader of the webhook. Throws
 * ForbiddenError `PERMISSION_DENIED` if it does and the principal may not read all of it.
 */
export function makesReader (
  principal: Principal, { applicationId }: Scope, webhook: ListensTo, change: WebhookUpdate
): boolean {
  if (decisive.every(name => change[name] === undefined)) return false
  authorizeListeningTo(principal, applicationId, webhook)
  return true
}
