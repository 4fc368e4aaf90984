import { Link, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { DetailPanel, WithPanel } from '../components/detail-panel.tsx'
import { Properties } from '../components/properties.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Sql } from './checks.tsx'
import { DatabaseFrame } from './frame.tsx'
import { scopeLink } from './links.ts'
import { tablesRoute } from './routes.ts'
import { tableName, warningsOf, type Table } from './table-names.ts'

const identityWords = {
  default: 'primary key',
  full: 'full',
  index: 'unique index',
  nothing: 'nothing'
}

const columns: Column<Table>[] = [
  {
    id: 'table',
    header: 'Table',
    width: 'minmax(12rem, 2fr)',
    cell: table => <span className='font-mono text-xs'>{tableName(table)}</span>,
    value: tableName
  },
  {
    id: 'columns',
    header: 'Columns',
    width: '5rem',
    align: 'right',
    cell: table => table.columns.length,
    value: table => table.columns.map(({ name, type }) => `${name} ${type}`)
  },
  {
    id: 'key',
    header: 'Primary key',
    cell: table =>
      table.primaryKey.length === 0
        ? (
          <span className='text-muted'>none</span>
          )
        : (
          <span className='font-mono text-xs'>{table.primaryKey.join(', ')}</span>
          ),
    value: table => table.primaryKey.join(', ')
  },
  {
    id: 'identity',
    header: 'Replica identity',
    cell: table => identityWords[table.replicaIdentity],
    value: table => table.replicaIdentity
  },
  {
    id: 'warnings',
    header: 'Old values',
    width: 'minmax(9rem, 1fr)',
    cell: table => <OldValues table={table} />,
    value: table =>
      warningsOf(table)
        .map(({ message }) => message)
        .join(' ')
  }
]

function OldValues ({ table }: { table: Table }) {
  if (table.replicaIdentity === 'full') return <Badge tone='ok'>available</Badge>
  const isRefused = warningsOf(table).some(({ tone }) => tone === 'critical')
  return isRefused ? <Badge tone='critical'>cannot be published</Badge> : <Badge tone='warning'>key only</Badge>
}

/** The tables of the connected database, and what limits them as sources of events. */
export function TablesPage () {
  const search = tablesRoute.useSearch()
  const navigate = useNavigate({ from: tablesRoute.fullPath })
  const tables = useGet('/api/database/tables', undefined, { staleTime: 30_000 })
  const shown = useMemo(
    () =>
      tables.data?.filter(table =>
        tableName(table)
          .toLowerCase()
          .includes((search.q ?? '').toLowerCase())
      ),
    [tables.data, search.q]
  )
  const open = tables.data?.find(table => tableName(table) === search.open)
  const close = () => {
    void navigate({ search: { ...search, open: undefined } })
  }
  return (
    <DatabaseFrame isFilled actions={<CopyAs request={{ method: 'GET', path: '/api/database/tables' }} />}>
      <WithPanel panel={open === undefined ? null : <TableDetails key={search.open} table={open} onClose={close} />}>
        {tables.error?.code === 'CONNECTION_NOT_FOUND'
          ? (
            <ConnectFirst />
            )
          : (
            <DataList
              name='tables'
              label='Tables'
              rows={shown}
              columns={columns}
              rowKey={tableName}
              link={table => scopeLink('/database/tables', {}, { ...search, open: tableName(table) })}
              openKey={search.open}
              error={tables.error}
              onRetry={() => {
                void tables.refetch()
              }}
              toolbar={
                <SearchInput
                  label='Filter tables'
                  value={search.q}
                  onChange={q => {
                    void navigate({ search: { ...search, q }, replace: true })
                  }}
                />
            }
              empty={
              search.q === undefined
                ? (
                  <Empty title='The database has no tables'>
                    The user sees no table outside of PostgreSQL’s own schemas. Create one, then reload this page.
                  </Empty>
                  )
                : (
                  <Empty title={`No table contains “${search.q}”`} />
                  )
            }
            />
            )}
      </WithPanel>
    </DatabaseFrame>
  )
}

/** Shown where a page needs the connected database. */
export const ConnectFirst = () => (
  <Empty
    title='No database is connected here'
    action={
      <Link {...scopeLink('/database')} className={buttonLook('primary')}>
        Connect a database
      </Link>
    }
  >
    Each environment connects one PostgreSQL database. Its tables appear here.
  </Empty>
)

function TableDetails ({ table, onClose }: { table: Table; onClose: () => void }) {
  const may = useMay()
  return (
    <DetailPanel
      title={<span className='font-mono text-sm'>{tableName(table)}</span>}
      onClose={onClose}
      actions={
        may('mappings:create') && (
          <Link
            {...scopeLink('/database/mappings/new', {}, { table: tableName(table) })}
            className={buttonLook('primary')}
          >
            Map this table
          </Link>
        )
      }
    >
      <div className='grid gap-4'>
        <Properties
          items={[
            ['Schema', table.schema],
            ['Primary key', table.primaryKey.join(', ') || 'none'],
            ['Replica identity', identityWords[table.replicaIdentity]]
          ]}
        />
        <table className='w-full text-left'>
          <thead>
            <tr className='border-b border-line text-xs text-muted'>
              <th className='py-1 font-medium'>Column</th>
              <th className='py-1 font-medium'>Type</th>
              <th className='py-1 font-medium'>Notes</th>
            </tr>
          </thead>
          <tbody>
            {table.columns.map(({ name, type, nullable, generated }) => (
              <tr key={name} className='border-b border-line/60'>
                <td className='py-1 pr-3 font-mono text-xs break-all'>{name}</td>
                <td className='py-1 pr-3 font-mono text-xs text-muted'>{type}</td>
                <td className='py-1 text-xs text-muted'>
                  {[
                    table.primaryKey.includes(name) && 'key',
                    nullable ? 'nullable' : 'not null',
                    generated && 'generated'
                  ]
                    .filter(Boolean)
                    .join(', ')}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {warningsOf(table).map(({ tone, message, sql }) => (
          <div key={message} className='grid gap-1'>
            <p>
              <Badge tone={tone}>{tone === 'info' ? 'note' : tone}</Badge> {message}
            </p>
            {sql !== undefined && <Sql text={sql} />}
          </div>
        ))}
      </div>
    </DetailPanel>
  )
}
