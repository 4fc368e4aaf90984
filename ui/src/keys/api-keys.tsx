import { useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { DetailPanel, WithPanel } from '../components/detail-panel.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { Properties } from '../components/properties.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { CreateApiKey } from './create-api-key.tsx'
import { apiKeysRoute } from './routes.ts'

type ApiKey = ItemOf<DataOf<'/api/api-keys'>>

const stateOf = ({ active, expiresAt }: ApiKey) =>
  active
    ? (
      <Badge tone='ok'>active</Badge>
      )
    : (
      <Badge tone='warning'>{expiresAt !== null && expiresAt < Date.now() ? 'expired' : 'without rights'}</Badge>
      )

const columns: Column<ApiKey>[] = [
  {
    id: 'name',
    header: 'Name',
    cell: key => key.name,
    value: key => key.name,
    sort: 'name',
    width: 'minmax(10rem, 2fr)'
  },
  {
    id: 'prefix',
    header: 'Key',
    cell: key => <Code>{`${key.prefix}…`}</Code>,
    value: key => key.prefix,
    width: '9rem'
  },
  { id: 'state', header: 'State', cell: stateOf, value: key => key.active, width: '8rem' },
  {
    id: 'environment',
    header: 'Environment',
    cell: key => key.environment ?? 'all',
    value: key => key.environment,
    width: '8rem'
  },
  {
    id: 'permissions',
    header: 'Permissions',
    cell: key => key.permissions.join(', '),
    value: key => key.permissions.join(' '),
    width: 'minmax(8rem, 2fr)'
  },
  {
    id: 'lastUsedAt',
    header: 'Last used',
    cell: key => <Time at={key.lastUsedAt} />,
    value: key => key.lastUsedAt,
    sort: 'lastUsedAt',
    width: '10rem'
  },
  {
    id: 'expiresAt',
    header: 'Expires',
    cell: key => (key.expiresAt === null ? 'never' : <Time at={key.expiresAt} />),
    value: key => key.expiresAt,
    sort: 'expiresAt',
    width: '10rem'
  }
]

/** The API keys of the application. A key is shown once, when it is created. */
export function ApiKeys () {
  const search = apiKeysRoute.useSearch()
  const navigate = useNavigate({ from: apiKeysRoute.fullPath })
  const may = useMay()
  const [isCreating, setCreating] = useState(false)
  const { q, sort, order, open } = search
  const keys = useList('/api/api-keys', { query: { q, sort: sort as 'name' | undefined, order } })
  const shown = keys.items?.find(({ id }) => id === open)
  const create = may('api-keys:create') && (
    <Button kind='primary' icon={<Plus size={15} aria-hidden />} onClick={() => setCreating(true)}>
      Create API key
    </Button>
  )
  const close = () => {
    void navigate({ search: { ...search, open: undefined } })
  }
  return (
    <>
      <WithPanel panel={shown === undefined ? null : <KeyPanel apiKey={shown} onClose={close} />}>
        <DataList
          name='api-keys'
          label='API keys'
          rows={keys.items}
          columns={columns}
          rowKey={({ id }) => id}
          openKey={open}
          link={({ id }) => ({ to: '.', search: { ...search, open: id } })}
          isFailure={({ active }) => !active}
          error={keys.error}
          onRetry={keys.reload}
          hasMore={keys.hasMore}
          isLoadingMore={keys.isLoadingMore}
          loadMore={keys.loadMore}
          sorting={{ sort, order }}
          onSort={sorting => {
            void navigate({ search: { ...search, ...sorting } })
          }}
          toolbar={
            <>
              <SearchInput
                value={q}
                label='Filter API keys'
                onChange={q => {
                  void navigate({ search: { ...search, q }, replace: true })
                }}
              />
              {create}
              <CopyAs request={{ method: 'GET', path: '/api/api-keys', query: { q, sort, order } }} />
            </>
          }
          empty={
            q === undefined
              ? (
                <Empty title='There are no API keys yet' action={create}>
                  An API key is a long-lived credential for a program. It acts for the user who created it, and can be
                  revoked on its own.
                </Empty>
                )
              : (
                <Empty title={`No API key contains “${q}”`} />
                )
          }
        />
      </WithPanel>
      {isCreating && <CreateApiKey onClose={() => setCreating(false)} />}
    </>
  )
}

function KeyPanel ({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const { id, name, prefix, permissions, environment, createdBy, createdAt, expiresAt, lastUsedAt } = apiKey
  const [isRevoking, setRevoking] = useState(false)
  const may = useMay()
  const revoke = useAction((api, id: string) => api.DELETE('/api/api-keys/{id}', { params: { path: { id } } }), {
    invalidates: ['/api/api-keys'],
    done: 'API key revoked',
    onDone: onClose
  })
  return (
    <DetailPanel title={name} onClose={onClose}>
      <div className='grid gap-4'>
        <Properties
          items={[
            ['State', stateOf(apiKey)],
            ['Key', <Code key='prefix'>{`${prefix}…`}</Code>],
            [
              'ID',
              <Code key='id' isCopyable>
                {id}
              </Code>
            ],
            ['Environment', environment ?? 'all'],
            [
              'Permissions',
              <ul key='permissions'>
                {permissions.map(one => (
                  <li key={one}>
                    <code className='font-mono text-xs'>{one}</code>
                  </li>
                ))}
              </ul>
            ],
            [
              'Created by',
              <Code key='by' isCopyable>
                {createdBy}
              </Code>
            ],
            ['Created', <Time key='created' at={createdAt} isExact />],
            ['Expires', expiresAt === null ? 'never' : <Time key='expires' at={expiresAt} isExact />],
            ['Last used', <Time key='used' at={lastUsedAt} isExact />]
          ]}
        />
        {may('api-keys:delete') && (
          <div className='flex gap-2'>
            <Button kind='danger' onClick={() => setRevoking(true)}>
              Revoke key
            </Button>
            <CopyAs request={{ method: 'DELETE', path: '/api/api-keys/{id}', params: { id } }} />
          </div>
        )}
      </div>
      <ConfirmDialog
        title={`Revoke ${name}`}
        name={name}
        verb='Revoke key'
        isOpen={isRevoking}
        onClose={() => setRevoking(false)}
        onConfirm={() => revoke.mutate(id)}
        isBusy={revoke.isPending}
      >
        Programs that use the key are refused at once, and their sockets close within two seconds. This cannot be
        undone.
      </ConfirmDialog>
    </DetailPanel>
  )
}
