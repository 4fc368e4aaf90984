import type { DataOf, Parameters } from '../app/api.ts'
import { useGlobal, type ItemOf } from '../app/queries.ts'
import type { Column } from '../components/data-list.tsx'
import { Badge } from '../components/badge.tsx'
import { Code } from '../components/code.tsx'
import { Time } from '../components/time.tsx'
import { usePlaceName } from '../people/names.ts'

export type Entry = ItemOf<DataOf<'/api/admin/audit'>>
export type AuditQuery = NonNullable<Parameters<'/api/admin/audit'>['query']>

/** Security events that somebody should look at. */
export const isRefusal = ({ action }: Entry): boolean => action.endsWith('_refused')

export const actorName = ({ actor: { kind, id, name } }: Entry): string =>
  name ?? (kind === 'system' ? 'the platform' : id)

const kinds = { session: 'user', token: 'token', 'api-key': 'API key', system: 'platform' }
export const kindOf = ({ actor: { kind } }: Entry): string => kinds[kind]

/** The known actions, by resource: for the filters. An action begins with its resource. */
export const actionsByResource = {
  alert: ['acknowledged'],
  alert_rule: ['created', 'updated', 'deleted'],
  api_key: ['created', 'revoked'],
  application: ['created', 'updated', 'quotas_updated', 'deleted'],
  database: ['connected', 'disconnected'],
  deployment: ['created', 'commented', 'approved', 'rejected', 'applied', 'rolled_back'],
  invite: ['created', 'accepted', 'withdrawn'],
  key: ['created', 'deactivated', 'revoked'],
  mapping: ['created', 'updated', 'versioned', 'promoted', 'rolled_back', 'deleted'],
  replay: ['created', 'cancelled'],
  role: ['created', 'updated', 'deleted'],
  schema: ['registered'],
  service: ['created', 'updated', 'deleted'],
  token: ['issued'],
  topic: ['created', 'updated', 'deleted'],
  trace_sampling: ['updated'],
  user: [
    'set_up',
    'created',
    'updated',
    'deleted',
    'logged_in',
    'logged_out',
    'login_refused',
    'login_code_required',
    'session_ended',
    'role_assigned',
    'role_removed',
    'password_changed',
    'password_reset_requested',
    'proof_refused',
    'mfa_set_up',
    'mfa_enabled',
    'mfa_disabled',
    'provider_linked'
  ],
  webhook: ['created', 'updated', 'activated', 'deactivated', 'secret_rotated', 'deleted']
} as const

export function useEntryColumns (): Column<Entry>[] {
  const placeName = usePlaceName()
  return [
    {
      id: 'at',
      header: 'Time',
      cell: entry => <Time at={entry.at} />,
      value: entry => new Date(entry.at).toISOString(),
      sort: 'at',
      width: '10rem'
    },
    {
      id: 'actor',
      header: 'Actor',
      cell: actorName,
      value: actorName,
      width: 'minmax(9rem, 2fr)'
    },
    { id: 'kind', header: 'Kind', cell: kindOf, value: kindOf, isHidden: true, width: '6rem' },
    {
      id: 'actorId',
      header: 'Actor id',
      cell: entry => entry.actor.id,
      value: entry => entry.actor.id,
      isHidden: true
    },
    {
      id: 'action',
      header: 'Action',
      cell: entry => (isRefusal(entry) ? <Badge tone='warning'>{entry.action}</Badge> : entry.action),
      value: entry => entry.action,
      width: 'minmax(10rem, 2fr)'
    },
    {
      id: 'resourceId',
      header: 'Resource',
      cell: entry => entry.resourceId !== null && <Code>{entry.resourceId}</Code>,
      value: entry => entry.resourceId,
      width: 'minmax(8rem, 2fr)'
    },
    {
      id: 'application',
      header: 'Application',
      cell: entry =>
        entry.applicationId === null ? <span className='text-muted'>platform</span> : placeName(entry.applicationId),
      value: entry => entry.applicationId,
      width: 'minmax(5.5rem, 1fr)'
    },
    {
      id: 'environment',
      header: 'Environment',
      cell: entry => entry.environment,
      value: entry => entry.environment,
      width: '6.5rem'
    },
    {
      id: 'address',
      header: 'Address',
      cell: entry => entry.address,
      value: entry => entry.address,
      width: '7.5rem'
    },
    {
      id: 'requestId',
      header: 'Request',
      cell: entry => entry.requestId,
      value: entry => entry.requestId,
      isHidden: true
    },
    { id: 'before', header: 'Before', cell: () => '', value: entry => entry.before, isHidden: true },
    { id: 'after', header: 'After', cell: () => '', value: entry => entry.after, isHidden: true }
  ]
}

/** Finds the entry of a permalink, which may be on no page that the list has read. */
export function useEntry (id: string | undefined, at: number | undefined, rows: readonly Entry[] | undefined) {
  const listed = rows?.find(entry => entry.id === id)
  const isElsewhere = id !== undefined && at !== undefined && rows !== undefined && listed === undefined
  const found = useGlobal(
    '/api/admin/audit',
    { query: { from: at ?? 0, to: (at ?? 0) + 1, limit: 1000 } },
    { enabled: isElsewhere }
  )
  return { entry: listed ?? found.data?.find(entry => entry.id === id), isSearching: isElsewhere && found.isPending }
}
