import type { LinkProps } from '@tanstack/react-router'
import type { DataOf } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'
import type { ScopedLink } from '../app/scoped-link.ts'
import type { Tone } from '../components/badge.tsx'
import { formatBytes, formatCount } from '../components/number.ts'
import { formatDuration } from '../components/time.tsx'

export type Alert = ItemOf<DataOf<'/api/alerts'>>
export type AlertRule = ItemOf<DataOf<'/api/alerts/rules'>>
export type Severity = Alert['severity']
export type RuleName = Alert['rule']
export type Unit = AlertRule['unit']

export const severities = ['critical', 'warning', 'info'] as const
export const severityTones: Record<Severity, Tone> = { critical: 'critical', warning: 'warning', info: 'info' }

export const ruleNames = [
  'connection_failed',
  'cdc_lag',
  'slot_holds_wal',
  'mapping_failures',
  'schema_violations',
  'endpoint_failing',
  'endpoint_disabled',
  'dead_deliveries',
  'writes_refused',
  'subscribers_resynced',
  'quota_nearly_used'
] as const satisfies readonly RuleName[]

const words: Record<RuleName, string> = {
  connection_failed: 'Database connection failed',
  cdc_lag: 'Database lag',
  slot_holds_wal: 'Replication slot holds WAL',
  mapping_failures: 'Mapping failures',
  schema_violations: 'Schema violations',
  endpoint_failing: 'Endpoint failing',
  endpoint_disabled: 'Endpoint disabled',
  dead_deliveries: 'Dead deliveries',
  writes_refused: 'Writes refused',
  subscribers_resynced: 'Subscribers resynced',
  quota_nearly_used: 'Quota nearly used'
}
export const wordsOf = (rule: RuleName): string => words[rule]

/** A value in the unit of its rule: `5 min`, `1.1 GB`, `80 %`, `12`. */
export function formatAmount (value: number | null, unit: Unit): string {
  if (value === null) return '–'
  if (unit === 'seconds') return formatDuration(value * 1000)
  if (unit === 'bytes') return formatBytes(value)
  if (unit === 'percent') return `${Math.round(value * 10) / 10} %`
  return formatCount(value)
}

export const targetWords: Record<Alert['details']['target']['type'], string> = {
  connection: 'Database connection',
  mapping: 'Mapping',
  topic: 'Topic',
  webhook: 'Webhook',
  error: 'Error code',
  quota: 'Quota'
}

export interface Cause {
  label: string
  link: LinkProps
}

/** Returns the pages where the cause of an alert can be seen and mended, the best one first. */
export function causesOf (
  { rule, details: { target, code } }: Alert,
  link: ScopedLink,
  applicationId: string
): Cause[] {
  switch (target.type) {
    case 'connection':
      return [{ label: 'Open the database connection', link: link('/database') }]
    case 'mapping':
      return [
        { label: 'Open the mapping', link: link('/database/mappings/$id', { params: { id: target.id } }) },
        { label: 'See its failures', link: link('/database/log', { search: { mapping: target.id } }) }
      ]
    case 'topic':
      return [
        { label: 'Open the topic', link: link('/topics/$name', { params: { name: target.id } }) },
        ...(rule === 'schema_violations'
          ? [{ label: 'Open its schema', link: link('/schemas/$topic', { params: { topic: target.id } }) }]
          : []),
        { label: 'See its traces', link: link('/debugger', { search: { topic: target.id } }) }
      ]
    case 'webhook':
      return [
        { label: 'Open the webhook', link: link('/webhooks/$id', { params: { id: target.id } }) },
        {
          label: rule === 'dead_deliveries' ? 'See its dead deliveries' : 'See its deliveries',
          link: link('/deliveries', {
            search: { webhookId: target.id, ...(rule === 'dead_deliveries' && { state: 'dead' }) }
          })
        }
      ]
    case 'error':
      return [{ label: 'See the traces', link: link('/debugger', { search: code === undefined ? {} : { q: code } }) }]
    case 'quota':
      return [
        {
          label: 'Open the quotas',
          link: { to: '/applications/$id' as string, params: { id: applicationId } } as LinkProps
        }
      ]
  }
}
