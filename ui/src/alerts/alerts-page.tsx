import { useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { useGet, useList } from '../app/queries.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Badge } from '../components/badge.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { WithPanel } from '../components/detail-panel.tsx'
import { Select } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { Person } from '../components/person.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Segments } from '../components/segments.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { AlertPanel } from './alert-panel.tsx'
import { NoAlerts } from './no-alerts.tsx'
import { useLiveAlerts } from './live-alerts.ts'
import { alertsRoute } from './routes.ts'
import { useAlertTabs } from './tabs.ts'
import { formatAmount, ruleNames, severities, severityTones, wordsOf, type Alert } from './words.ts'

const summary: Column<Alert> = {
  id: 'summary',
  header: 'Alert',
  cell: alert => <span title={alert.summary}>{alert.summary}</span>,
  value: alert => alert.summary,
  width: 'minmax(18rem, 4fr)'
}
const severity: Column<Alert> = {
  id: 'severity',
  header: 'Severity',
  cell: alert => <Badge tone={severityTones[alert.severity]}>{alert.severity}</Badge>,
  value: alert => alert.severity,
  width: '6.5rem'
}
const rule: Column<Alert> = {
  id: 'rule',
  header: 'Rule',
  cell: alert => wordsOf(alert.rule),
  value: alert => alert.rule,
  width: 'minmax(10rem, 1fr)'
}
const value: Column<Alert> = {
  id: 'value',
  header: 'Value',
  cell: ({ details }) => formatAmount(details.value, details.unit),
  value: ({ details }) => details.value,
  width: '6rem',
  align: 'right'
}
const startedAt: Column<Alert> = {
  id: 'startedAt',
  header: 'Fired',
  cell: alert => <Time at={alert.startedAt} />,
  value: alert => alert.startedAt,
  sort: 'startedAt',
  width: '11rem'
}
const acknowledged: Column<Alert> = {
  id: 'acknowledgedBy',
  header: 'Acknowledged',
  cell: alert =>
    alert.acknowledgedBy === null
      ? (
        <span className='text-muted'>not yet</span>
        )
      : (
        <>
          by <Person id={alert.acknowledgedBy} />
        </>
        ),
  value: alert => alert.acknowledgedBy,
  width: 'minmax(8rem, 1fr)'
}
const duration: Column<Alert> = {
  id: 'duration',
  header: 'Lasted',
  cell: alert => formatDuration((alert.resolvedAt ?? Date.now()) - alert.startedAt),
  value: alert => (alert.resolvedAt === null ? null : alert.resolvedAt - alert.startedAt),
  width: '6rem',
  align: 'right'
}
const resolvedAt: Column<Alert> = {
  id: 'resolvedAt',
  header: 'Resolved',
  cell: alert => <Time at={alert.resolvedAt} />,
  value: alert => alert.resolvedAt,
  sort: 'resolvedAt',
  width: '11rem'
}
const columns = {
  firing: [summary, severity, rule, value, startedAt, acknowledged],
  resolved: [summary, severity, rule, resolvedAt, startedAt, duration, { ...value, isHidden: true }, acknowledged]
}

/** The alerts that fire now, and those of the past. */
export function AlertsPage () {
  const search = alertsRoute.useSearch()
  const navigate = useNavigate({ from: alertsRoute.fullPath })
  const link = useScopedLink()
  const tabs = useAlertTabs()
  useLiveAlerts()
  const { q, sort, order, status = 'firing', severity, rule, open } = search
  const query = { q, sort: sort as 'startedAt' | undefined, order, status, severity, rule }
  const alerts = useList('/api/alerts', { query }, { refetchInterval: 30_000 })
  const opened = useAlert(open, alerts.items)
  const change = (changes: Partial<typeof search>, replace = false) => {
    void navigate({ search: { ...search, ...changes }, replace })
  }
  const close = useCallback(() => {
    void navigate({ search: old => ({ ...old, open: undefined }) })
  }, [navigate])
  const isFiltered = q !== undefined || severity !== undefined || rule !== undefined
  return (
    <Page
      title='Alerts'
      isFilled
      tabs={tabs}
      actions={<CopyAs request={{ method: 'GET', path: '/api/alerts', query }} />}
    >
      <WithPanel panel={open === undefined ? null : <AlertPanel alert={opened} onClose={close} />}>
        <DataList
          name={`alerts-${status}`}
          label='Alerts'
          rows={alerts.items}
          columns={columns[status]}
          rowKey={alert => alert.id}
          link={alert => link('/alerts', { search: { ...search, open: alert.id } })}
          openKey={open}
          isFailure={alert => alert.severity === 'critical'}
          error={alerts.error}
          onRetry={alerts.reload}
          hasMore={alerts.hasMore}
          isLoadingMore={alerts.isLoadingMore}
          loadMore={alerts.loadMore}
          sorting={{ sort: sort ?? 'startedAt', order: order ?? 'desc' }}
          onSort={change}
          toolbar={
            <>
              <Segments
                label='Status'
                value={status}
                choices={[
                  { value: 'firing', label: 'Firing' },
                  { value: 'resolved', label: 'Past' }
                ]}
                onChange={status => change({ status, sort: undefined, order: undefined, open: undefined })}
              />
              <SearchInput label='Filter alerts' value={q} onChange={q => change({ q }, true)} />
              <Select
                aria-label='Severity'
                className='w-36!'
                value={severity ?? 'all'}
                choices={[
                  { value: 'all', label: 'All severities' },
                  ...severities.map(value => ({ value, label: value }))
                ]}
                onChange={value => change({ severity: value === 'all' ? undefined : value })}
              />
              <Select
                aria-label='Rule'
                className='w-52!'
                value={rule ?? 'all'}
                choices={[
                  { value: 'all', label: 'All rules' },
                  ...ruleNames.map(value => ({ value, label: wordsOf(value) }))
                ]}
                onChange={value => change({ rule: value === 'all' ? undefined : value })}
              />
            </>
          }
          empty={<NoAlerts status={status} isFiltered={isFiltered} />}
        />
      </WithPanel>
    </Page>
  )
}

/** Finds an alert by its id: in the list, or among the others of the environment. Null: there is none. */
function useAlert (id: string | undefined, listed: readonly Alert[] | undefined): Alert | null | undefined {
  const found = listed?.find(alert => alert.id === id)
  const enabled = id !== undefined && listed !== undefined && found === undefined
  const firing = useGet('/api/alerts', { query: { status: 'firing', limit: 1000 } }, { enabled })
  const resolved = useGet('/api/alerts', { query: { status: 'resolved', limit: 1000 } }, { enabled })
  if (found !== undefined) return found
  const other = [...(firing.data ?? []), ...(resolved.data ?? [])].find(alert => alert.id === id)
  if (other !== undefined) return other
  return firing.data !== undefined && resolved.data !== undefined ? null : undefined
}
