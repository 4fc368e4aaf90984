import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { DataOf } from '../app/api.ts'
import { useGet, useList, type ItemOf } from '../app/queries.ts'
import { Badge, type Tone } from '../components/badge.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { WithPanel } from '../components/detail-panel.tsx'
import { Select } from '../components/field.tsx'
import { RangePicker, timesOf } from '../components/range-picker.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { DatabaseFrame } from './frame.tsx'
import { scopeLink } from './links.ts'
import { LogDetails } from './log-details.tsx'
import { logRoute } from './routes.ts'

export type LogEntry = ItemOf<DataOf<'/api/database/logs'>>

export const statusTones: Record<LogEntry['status'], Tone> = {
  delivered: 'ok',
  rejected: 'warning',
  failed: 'critical'
}

const columns: Column<LogEntry>[] = [
  {
    id: 'createdAt',
    header: 'Time',
    width: '12rem',
    sort: 'createdAt',
    cell: ({ createdAt }) => <Time at={createdAt} />,
    value: ({ createdAt }) => createdAt
  },
  {
    id: 'status',
    header: 'Status',
    width: '7rem',
    cell: ({ status }) => <Badge tone={statusTones[status]}>{status}</Badge>,
    value: ({ status }) => status
  },
  { id: 'table', header: 'Table', cell: ({ table }) => <Mono>{table}</Mono>, value: ({ table }) => table },
  { id: 'topic', header: 'Topic', cell: ({ topic }) => <Mono>{topic}</Mono>, value: ({ topic }) => topic },
  {
    id: 'events',
    header: 'Changes',
    width: '5rem',
    align: 'right',
    cell: ({ events }) => (events === 0 ? '?' : events),
    value: ({ events }) => events
  },
  {
    id: 'code',
    header: 'Code',
    width: 'minmax(10rem, 1fr)',
    cell: ({ code }) => (code === null ? <span className='text-muted'>–</span> : <Mono>{code}</Mono>),
    value: ({ code }) => code
  },
  {
    id: 'message',
    header: 'Message',
    width: 'minmax(12rem, 2fr)',
    cell: ({ message }) => message ?? '',
    value: ({ message }) => message
  },
  { id: 'lsn', header: 'LSN', isHidden: true, cell: ({ lsn }) => <Mono>{lsn}</Mono>, value: ({ lsn }) => lsn },
  { id: 'xid', header: 'Transaction', isHidden: true, cell: ({ xid }) => xid, value: ({ xid }) => xid },
  {
    id: 'mappingId',
    header: 'Mapping',
    isHidden: true,
    cell: ({ mappingId }) => <Mono>{mappingId}</Mono>,
    value: ({ mappingId }) => mappingId
  }
]

const Mono = ({ children }: { children: string }) => <span className='font-mono text-xs'>{children}</span>

/** The outcomes of changes: which became events, which did not, and why. */
export function LogPage () {
  const search = logRoute.useSearch()
  const { q, mapping, topic, status, sort, order, open } = search
  const navigate = useNavigate({ from: logRoute.fullPath })
  const change = (changes: Partial<typeof search>) => {
    void navigate({ search: { ...search, ...changes }, replace: true })
  }
  const hasRange = search.range !== undefined || search.from !== undefined
  const times = useMemo(
    () => (hasRange ? timesOf(search, '24h') : {}),
    [hasRange, search.range, search.from, search.to]
  )
  const query = {
    q,
    mappingId: mapping,
    topic,
    status,
    sort: sort as 'createdAt' | undefined,
    order,
    ...times
  }
  const entries = useList('/api/database/logs', { query }, { refetchInterval: 5000 })
  const mappings = useGet('/api/database/mappings', { query: { limit: 1000 } }, { staleTime: 30_000 })
  const topics = [
    ...new Set([...(mappings.data ?? []).map(one => one.topic), ...(topic === undefined ? [] : [topic])])
  ]
  const entry = entries.items?.find(({ id }) => id === open)
  const isFiltered =
    q !== undefined || mapping !== undefined || topic !== undefined || status !== undefined || hasRange
  return (
    <DatabaseFrame
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/database/logs', query }} />
          <RangePicker
            value={{ range: search.range, from: search.from, to: search.to }}
            fallback='30d'
            onChange={change}
          />
        </>
      }
    >
      <WithPanel
        panel={
          entry === undefined
            ? null
            : (
              <LogDetails key={entry.id} entry={entry} onClose={() => change({ open: undefined })} />
              )
        }
      >
        <DataList
          name='database-log'
          label='Delivery log'
          rows={entries.items}
          columns={columns}
          rowKey={({ id }) => id}
          link={({ id }) => scopeLink('/database/log', {}, { ...search, open: id })}
          openKey={open}
          isFailure={one => one.status !== 'delivered'}
          error={entries.error}
          onRetry={entries.reload}
          hasMore={entries.hasMore}
          isLoadingMore={entries.isLoadingMore}
          loadMore={entries.loadMore}
          sorting={{ sort, order }}
          onSort={change}
          toolbar={
            <>
              <SearchInput label='Filter entries' value={q} onChange={text => change({ q: text })} />
              <Select
                aria-label='Status'
                className='w-auto!'
                choices={[
                  { value: '', label: 'All statuses' },
                  { value: 'delivered', label: 'delivered' },
                  { value: 'rejected', label: 'rejected' },
                  { value: 'failed', label: 'failed' }
                ]}
                value={status ?? ''}
                onChange={value => change({ status: value === '' ? undefined : value })}
              />
              <Select
                aria-label='Mapping'
                className='w-48!'
                choices={[
                  { value: '', label: 'All mappings' },
                  ...(mappings.data ?? []).map(one => ({ value: one.id, label: `${one.table} → ${one.topic}` })),
                  ...(mapping === undefined || mappings.data?.some(({ id }) => id === mapping) === true
                    ? []
                    : [{ value: mapping, label: mapping }])
                ]}
                value={mapping ?? ''}
                onChange={value => change({ mapping: value === '' ? undefined : value })}
              />
              <Select
                aria-label='Topic'
                className='w-40!'
                choices={[{ value: '', label: 'All topics' }, ...topics.map(name => ({ value: name, label: name }))]}
                value={topic ?? ''}
                onChange={value => change({ topic: value === '' ? undefined : value })}
              />
            </>
          }
          empty={
            isFiltered
              ? (
                <Empty title='No entry matches the filter' />
                )
              : (
                <Empty title='No change has reached a mapping yet'>
                  Each transaction that changes rows of a mapped table is listed here, with what became of its changes.
                </Empty>
                )
          }
        />
      </WithPanel>
    </DatabaseFrame>
  )
}
