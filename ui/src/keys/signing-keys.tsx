import { useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useMe, mayIn } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { DetailPanel, WithPanel } from '../components/detail-panel.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { CreateSigningKey } from './create-signing-key.tsx'
import { signingKeysRoute } from './routes.ts'
import { SigningKeyActions } from './signing-key-actions.tsx'

export type SigningKey = ItemOf<DataOf<'/api/admin/keys'>>

const stateOf = ({ active }: SigningKey) =>
  active ? <Badge tone='ok'>active</Badge> : <Badge tone='neutral'>deactivated</Badge>

const columns: Column<SigningKey>[] = [
  { id: 'keyId', header: 'Key', cell: key => key.keyId, value: key => key.keyId, width: 'minmax(12rem, 2fr)' },
  { id: 'algorithm', header: 'Algorithm', cell: key => key.algorithm, value: key => key.algorithm, width: '8rem' },
  { id: 'state', header: 'State', cell: stateOf, value: key => key.active, width: '9rem' },
  {
    id: 'createdAt',
    header: 'Created',
    cell: key => <Time at={key.createdAt} />,
    value: key => key.createdAt,
    sort: 'createdAt',
    width: '11rem'
  },
  {
    id: 'deactivatedAt',
    header: 'Deactivated',
    cell: key => <Time at={key.deactivatedAt} />,
    value: key => key.deactivatedAt,
    sort: 'deactivatedAt',
    width: '11rem'
  }
]

/** The keys that sign the tokens of every application. The newest active one signs. */
export function SigningKeys () {
  const search = signingKeysRoute.useSearch()
  const navigate = useNavigate({ from: signingKeysRoute.fullPath })
  const me = useMe()
  const [isCreating, setCreating] = useState(false)
  const { q, sort, order, open } = search
  const keys = useList(
    '/api/admin/keys',
    { query: { q, sort: sort as 'createdAt' | undefined, order } },
    { scope: null }
  )
  const shown = keys.items?.find(({ keyId }) => keyId === open)
  const mayCreate = me !== undefined && mayIn(me, null, 'keys:create')
  return (
    <>
      <WithPanel
        panel={
          shown === undefined
            ? null
            : (
              <DetailPanel
                title={shown.keyId}
                onClose={() => {
                  void navigate({ search: { ...search, open: undefined } })
                }}
              >
                <KeyFacts signingKey={shown} />
              </DetailPanel>
              )
        }
      >
        <DataList
          name='signing-keys'
          label='Signing keys'
          rows={keys.items}
          columns={columns}
          rowKey={({ keyId }) => keyId}
          openKey={open}
          link={({ keyId }) => ({
            to: '.',
            search: { ...search, open: keyId }
          })}
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
                label='Filter signing keys'
                onChange={q => {
                  void navigate({ search: { ...search, q }, replace: true })
                }}
              />
              {mayCreate && (
                <Button icon={<Plus size={15} aria-hidden />} onClick={() => setCreating(true)}>
                  Create signing key
                </Button>
              )}
              <CopyAs request={{ method: 'GET', path: '/api/admin/keys', query: { q, sort, order } }} />
            </>
          }
          empty={<Empty title={q === undefined ? 'There are no signing keys' : `No signing key contains “${q}”`} />}
        />
      </WithPanel>
      {isCreating && <CreateSigningKey onClose={() => setCreating(false)} />}
    </>
  )
}

const KeyFacts = ({ signingKey }: { signingKey: SigningKey }) => (
  <div className='grid gap-4'>
    <Properties
      items={[
        ['State', stateOf(signingKey)],
        [
          'Key id',
          <Code key='id' isCopyable>
            {signingKey.keyId}
          </Code>
        ],
        ['Algorithm', signingKey.algorithm],
        ['Created', <Time key='created' at={signingKey.createdAt} isExact />],
        ['Deactivated', <Time key='deactivated' at={signingKey.deactivatedAt} isExact />]
      ]}
    />
    {signingKey.publicKey !== undefined && <JsonView value={signingKey.publicKey} label='Public key (JWK)' />}
    <SigningKeyActions signingKey={signingKey} />
  </div>
)
