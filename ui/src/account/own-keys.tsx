import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { scopePath, useScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { CodeBlock, Code } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { usePlaceName } from '../people/names.ts'
import { ownKeysRoute } from './routes.ts'

type Key = ItemOf<DataOf<'/api/auth/api-keys'>>

/** The API keys that the user has created, in all applications. Revoking one needs no permission. */
export function OwnKeys () {
  const search = ownKeysRoute.useSearch()
  const navigate = useNavigate({ from: '/account/api-keys' })
  const scope = useScope()
  const { q, sort, order } = search
  const keys = useList(
    '/api/auth/api-keys',
    { query: { q, sort: sort as 'name' | undefined, order } },
    { scope: null }
  )
  const placeName = usePlaceName()
  const [revoked, setRevoked] = useState<Key | null>(null)
  const revoke = useAction(
    (api, { id }: Key) => api.DELETE('/api/auth/api-keys/{id}', { params: { path: { id } } }),
    {
      invalidates: ['/api/auth/api-keys', '/api/api-keys'],
      done: 'API key revoked',
      scope: null,
      onDone: () => setRevoked(null)
    }
  )
  const create = scope !== null && (
    <Link to={`${scopePath}/keys`} params={{ ...scope }} className={buttonLook()}>
      Create on the page “Keys”
    </Link>
  )
  const body = { name: 'Nightly import', permissions: ['publish:order.**'] }
  return (
    <>
      <DataList
        name='own-api-keys'
        label='Your API keys'
        rows={keys.items}
        columns={columnsOf(placeName, setRevoked)}
        rowKey={key => key.id}
        error={keys.error}
        onRetry={keys.reload}
        hasMore={keys.hasMore}
        isLoadingMore={keys.isLoadingMore}
        loadMore={keys.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        isFailure={key => !key.active}
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
            <CopyAs request={{ method: 'GET', path: '/api/auth/api-keys', query: { q, sort, order } }} />
          </>
        }
        empty={
          q !== undefined
            ? (
              <Empty title={`No API key contains “${q}”`} />
              )
            : (
              <Empty title='You have created no API keys' action={create}>
                <p className='mb-3'>A key acts for you in one application, until you revoke it.</p>
                <CodeBlock
                  className='text-left'
                  text={toCurl({ method: 'POST', path: '/api/api-keys', body }, scope)}
                />
              </Empty>
              )
        }
      />
      <ConfirmDialog
        title={`Revoke “${revoked?.name ?? ''}”`}
        name={revoked?.name ?? ''}
        verb='Revoke key'
        isOpen={revoked !== null}
        isBusy={revoke.isPending}
        onClose={() => setRevoked(null)}
        onConfirm={() => {
          if (revoked !== null) revoke.mutate(revoked)
        }}
      >
        Requests with the key are refused and its sockets close, on all nodes within two seconds. A revoked key cannot
        come back.
      </ConfirmDialog>
    </>
  )
}

const columnsOf = (placeName: (id: string | null) => string, onRevoke: (key: Key) => void): Column<Key>[] => [
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
    header: 'Begins with',
    cell: key => <Code>{key.prefix}</Code>,
    value: key => key.prefix,
    width: '8rem'
  },
  {
    id: 'place',
    header: 'Application',
    cell: key => `${placeName(key.applicationId)}${key.environment === null ? '' : `, ${key.environment}`}`,
    value: key => key.applicationId,
    width: 'minmax(9rem, 1fr)'
  },
  {
    id: 'permissions',
    header: 'Permissions',
    cell: key => <span title={key.permissions.join('\n')}>{key.permissions.join(', ')}</span>,
    value: key => key.permissions,
    width: 'minmax(9rem, 2fr)'
  },
  {
    id: 'active',
    header: 'State',
    cell: key => (key.active ? <Badge tone='ok'>works</Badge> : <Badge tone='critical'>refused</Badge>),
    value: key => key.active,
    width: '6rem'
  },
  {
    id: 'lastUsedAt',
    header: 'Last used',
    cell: key => (key.lastUsedAt === null ? <span className='text-muted'>never</span> : <Time at={key.lastUsedAt} />),
    value: key => key.lastUsedAt,
    sort: 'lastUsedAt',
    width: '9rem'
  },
  {
    id: 'expiresAt',
    header: 'Expires',
    cell: key => (key.expiresAt === null ? <span className='text-muted'>never</span> : <Time at={key.expiresAt} />),
    value: key => key.expiresAt,
    sort: 'expiresAt',
    width: '9rem'
  },
  {
    id: 'revoke',
    header: '',
    width: '6rem',
    align: 'right',
    cell: key => (
      <Button kind='plain' className='h-6!' onClick={() => onRevoke(key)}>
        Revoke
      </Button>
    )
  }
]
