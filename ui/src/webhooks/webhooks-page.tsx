import { Link, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Select } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { HealthBadge, SuccessRate } from './health.tsx'
import { oneOf } from '../app/search.ts'
import { webhooksRoute } from './routes.ts'
import { healthOf, shortUrl, type Webhook } from './status.ts'

const columns: Column<Webhook>[] = [
  {
    id: 'url',
    header: 'Endpoint',
    cell: webhook => shortUrl(webhook.url),
    value: webhook => webhook.url,
    width: 'minmax(14rem, 3fr)'
  },
  {
    id: 'health',
    header: 'Health',
    cell: webhook => <HealthBadge webhook={webhook} />,
    value: webhook => healthOf(webhook).word,
    width: '9rem'
  },
  {
    id: 'success',
    header: 'Success, 24 h',
    cell: webhook => <SuccessRate webhookId={webhook.id} />,
    align: 'right',
    width: '7rem'
  },
  {
    id: 'events',
    header: 'Events',
    cell: webhook => webhook.events.map(event => (event === '*' ? 'all' : event)).join(', '),
    value: webhook => webhook.events.join(' '),
    width: 'minmax(8rem, 1fr)'
  },
  {
    id: 'topics',
    header: 'Topics',
    cell: webhook => webhook.topics?.join(', ') ?? <span className='text-muted'>all</span>,
    value: webhook => webhook.topics?.join(' ') ?? '**',
    width: 'minmax(8rem, 1fr)'
  },
  {
    id: 'environments',
    header: 'Environments',
    cell: webhook => webhook.environments?.join(', ') ?? <span className='text-muted'>all</span>,
    value: webhook => webhook.environments?.join(' ') ?? 'all',
    width: '8rem'
  },
  {
    id: 'description',
    header: 'Description',
    cell: webhook => webhook.description,
    value: webhook => webhook.description,
    width: 'minmax(8rem, 1fr)',
    isHidden: true
  },
  {
    id: 'id',
    header: 'ID',
    cell: webhook => webhook.id,
    value: webhook => webhook.id,
    isHidden: true,
    width: '14rem'
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: webhook => <Time at={webhook.createdAt} />,
    value: webhook => webhook.createdAt,
    sort: 'createdAt',
    width: '8rem'
  }
]

const sorts = oneOf(['createdAt', 'updatedAt'])

/** The webhooks of the application, with their health. */
export function WebhooksPage () {
  const search = webhooksRoute.useSearch()
  const navigate = useNavigate({ from: webhooksRoute.fullPath })
  const scope = usePageScope()
  const may = useMay()
  const { q, sort, order, active } = search
  const query = {
    q,
    sort: sorts(sort),
    order,
    active: active === undefined ? undefined : active === 'true'
  }
  const webhooks = useList('/api/webhooks', { query }, { refetchInterval: 15_000 })
  const create = may('webhooks:create') && (
    <Link to={`${scopePath}/webhooks/new`} params={{ ...scope }} className={buttonLook('primary')}>
      <Plus size={15} aria-hidden />
      Create webhook
    </Link>
  )
  return (
    <Page
      title='Webhooks'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/webhooks', query }} />
          {create}
        </>
      }
    >
      <DataList
        name='webhooks'
        label='Webhooks'
        rows={webhooks.items}
        columns={columns}
        rowKey={webhook => webhook.id}
        link={({ id }) => ({ to: `${scopePath}/webhooks/$id`, params: { ...scope, id } })}
        isFailure={webhook => healthOf(webhook).tone !== 'ok'}
        error={webhooks.error}
        onRetry={webhooks.reload}
        hasMore={webhooks.hasMore}
        isLoadingMore={webhooks.isLoadingMore}
        loadMore={webhooks.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <>
            <SearchInput
              value={q}
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
              label='Filter by URL or description'
            />
            <Select
              aria-label='State'
              className='w-auto!'
              value={active ?? 'all'}
              choices={[
                { value: 'all', label: 'Active and disabled' },
                { value: 'true', label: 'Active' },
                { value: 'false', label: 'Disabled' }
              ]}
              onChange={value => {
                void navigate({ search: { ...search, active: value === 'all' ? undefined : value } })
              }}
            />
          </>
        }
        empty={
          q === undefined && active === undefined
            ? (
              <NoWebhooks action={create} />
              )
            : (
              <Empty title='No webhook matches the filter' />
              )
        }
      />
    </Page>
  )
}

function NoWebhooks ({ action }: { action: ReactNode }) {
  const scope = usePageScope()
  const body = { url: 'https://example.com/webhook', events: ['*'], topics: ['order.*'] }
  return (
    <Empty title='There are no webhooks yet' action={action}>
      <p className='mb-3'>
        A webhook sends events to an HTTPS endpoint as they happen, signed and retried. Create one here, or with the
        API:
      </p>
      <CodeBlock text={toCurl({ method: 'POST', path: '/api/webhooks', body }, scope)} className='text-left' />
    </Empty>
  )
}
