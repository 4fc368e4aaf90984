import type { LinkProps } from '@tanstack/react-router'
import { causesOf, severities, wordsOf, type Alert, type Severity } from '../alerts/words.ts'
import type { DataOf } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'
import type { ScopedLink } from '../app/scoped-link.ts'
import { formatCount } from '../components/number.ts'
import { componentName, type Readiness } from '../monitoring/readiness.ts'

/** Something that is wrong now, and the page where it can be mended. */
export interface Problem {
  key: string
  severity: Severity
  title: string
  note?: string
  since?: number
  isAcknowledged?: boolean
  link?: LinkProps
  cause?: { label: string; link: LinkProps }
}

export interface Facts {
  alerts: readonly Alert[] | undefined
  readiness: Readiness | undefined
  connection: DataOf<'/api/database/connection'> | undefined
  webhooks: readonly ItemOf<DataOf<'/api/webhooks'>>[] | undefined
  deadCount: number | undefined
  /** The names of facts that could not be read. */
  unread: readonly string[]
}

/** Returns the problems, the most urgent one first. A cause that an alert names is not named twice. */
export function problemsOf (facts: Facts, link: ScopedLink, applicationId: string): Problem[] {
  const all = [
    ...ofAlerts(facts.alerts ?? [], link, applicationId),
    ...ofReadiness(facts.readiness, link),
    ...ofConnection(facts, link),
    ...ofWebhooks(facts, link),
    ...facts.unread.map((name): Problem => ({
      key: `unread ${name}`,
      severity: 'warning',
      title: `${name} could not be read`,
      note: 'It is read again by itself.'
    }))
  ]
  return all.sort((a, b) => rank(a) - rank(b) || (b.since ?? 0) - (a.since ?? 0))
}

const rank = ({ severity, isAcknowledged }: Problem): number =>
  severities.indexOf(severity) * 2 + (isAcknowledged === true ? 1 : 0)

const ofAlerts = (alerts: readonly Alert[], link: ScopedLink, applicationId: string): Problem[] =>
  alerts.map(alert => {
    const [cause] = causesOf(alert, link, applicationId)
    return {
      key: alert.id,
      severity: alert.severity,
      title: alert.summary,
      note: wordsOf(alert.rule),
      since: alert.startedAt,
      isAcknowledged: alert.acknowledgedAt !== null,
      link: link('/alerts', { search: { open: alert.id } }),
      ...(cause !== undefined && { cause })
    }
  })

const ofReadiness = (readiness: Readiness | undefined, link: ScopedLink): Problem[] =>
  Object.entries(readiness?.components ?? {})
    .filter(([, { status }]) => status !== 'ok')
    .map(([name, { status, message }]) => ({
      key: `component ${name}`,
      severity: status === 'failed' ? 'critical' : 'warning',
      title: `${componentName(name)}: ${status}`,
      ...(message !== undefined && { note: message }),
      link: link('/monitoring')
    }))

function ofConnection ({ connection, alerts = [] }: Facts, link: ScopedLink): Problem[] {
  if (connection === undefined || connection.state === 'streaming') return []
  if (alerts.some(({ rule }) => rule === 'connection_failed')) return []
  const { state, error, since } = connection
  return [
    {
      key: 'connection',
      severity: state === 'error' ? 'critical' : 'warning',
      title: `The database connection is ${state === 'error' ? 'failing' : state}`,
      ...(error !== null && { note: error.message }),
      since,
      link: link('/database')
    }
  ]
}

function ofWebhooks ({ webhooks = [], alerts = [], deadCount = 0 }: Facts, link: ScopedLink): Problem[] {
  const isNamed = (id: string) =>
    alerts.some(({ details: { target } }) => target.type === 'webhook' && target.id === id)
  const page = (id: string) => link('/webhooks/$id', { params: { id } })
  const disabled = webhooks.filter(({ id, deactivatedReason }) => deactivatedReason !== null && !isNamed(id))
  const failing = webhooks.filter(({ id, active, failingSince }) => active && failingSince !== null && !isNamed(id))
  return [
    ...disabled.map(({ id, url, updatedAt }): Problem => ({
      key: id,
      severity: 'critical',
      title: `The webhook ${url} was disabled`,
      since: updatedAt,
      link: page(id)
    })),
    ...failing.map(({ id, url, failingSince }): Problem => ({
      key: id,
      severity: 'warning',
      title: `Requests to ${url} fail`,
      since: failingSince ?? 0,
      link: page(id)
    })),
    ...(deadCount > 0 && !alerts.some(({ rule }) => rule === 'dead_deliveries')
      ? [
          {
            key: 'dead',
            severity: 'warning' as const,
            title: `${formatCount(deadCount)} dead ${deadCount === 1 ? 'delivery' : 'deliveries'}`,
            note: 'They are sent again only when somebody redrives them.',
            link: link('/deliveries', { search: { state: 'dead' } })
          }
        ]
      : [])
  ]
}
