import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { useGet, useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { WithPanel } from '../components/detail-panel.tsx'
import { Page } from '../components/page.tsx'
import { timesOf } from '../components/range-picker.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { DeliveriesToolbar } from './deliveries-toolbar.tsx'
import { DeliveryPanel } from './delivery-panel.tsx'
import { RedriveButton } from './redrive-button.tsx'
import { deliveriesRoute, type DeliveriesSearch } from './routes.ts'
import { shortUrl, stateTones, statusOf, type Delivery, type Webhook } from './status.ts'

const columnsFor = (webhooks: ReadonlyMap<string, Webhook>, isEverywhere: boolean): Column<Delivery>[] => [
  {
    id: 'topic',
    header: 'Topic',
    cell: delivery => delivery.topic,
    value: delivery => delivery.topic,
    width: 'minmax(10rem, 2fr)'
  },
  {
    id: 'state',
    header: 'State',
    cell: delivery => <Badge tone={stateTones[delivery.state]}>{delivery.state}</Badge>,
    value: delivery => delivery.state,
    width: '6.5rem'
  },
  {
    id: 'status',
    header: 'Last answer',
    cell: delivery =>
      delivery.attempts === 0 ? <span className='text-muted'>–</span> : <Status delivery={delivery} />,
    value: delivery => delivery.statusCode,
    width: '7.5rem'
  },
  {
    id: 'attempts',
    header: 'Attempts',
    cell: delivery => delivery.attempts,
    value: delivery => delivery.attempts,
    align: 'right',
    width: '5rem'
  },
  {
    id: 'webhook',
    header: 'Endpoint',
    cell: delivery => shortUrl(webhooks.get(delivery.webhookId)?.url ?? delivery.webhookId),
    value: delivery => webhooks.get(delivery.webhookId)?.url ?? delivery.webhookId,
    width: 'minmax(10rem, 2fr)'
  },
  {
    id: 'offset',
    header: 'Offset',
    cell: delivery => <span className='font-mono text-xs'>{delivery.offset}</span>,
    value: delivery => delivery.offset,
    align: 'right',
    width: '5rem'
  },
  { id: 'key', header: 'Key', cell: delivery => delivery.key, value: delivery => delivery.key, isHidden: true },
  {
    id: 'event',
    header: 'Type',
    cell: delivery => delivery.event,
    value: delivery => delivery.event,
    isHidden: true,
    width: '9rem'
  },
  {
    id: 'environment',
    header: 'Environment',
    cell: delivery => delivery.environment,
    value: delivery => delivery.environment,
    isHidden: !isEverywhere,
    width: '7rem'
  },
  {
    id: 'error',
    header: 'Error',
    cell: delivery => delivery.error,
    value: delivery => delivery.error,
    isHidden: true,
    width: 'minmax(12rem, 2fr)'
  },
  {
    id: 'next',
    header: 'Next try',
    cell: delivery =>
      delivery.nextAttemptAt !== null && delivery.nextAttemptAt <= Date.now()
        ? 'due'
        : <Time at={delivery.nextAttemptAt} />,
    value: delivery => delivery.nextAttemptAt,
    width: '7rem'
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: delivery => <Time at={delivery.createdAt} />,
    value: delivery => delivery.createdAt,
    width: '8rem'
  },
  {
    id: 'id',
    header: 'ID',
    cell: delivery => delivery.id,
    value: delivery => delivery.id,
    isHidden: true,
    width: '20rem'
  }
]

function Status ({ delivery }: { delivery: Delivery }) {
  const { tone, word } = statusOf(delivery)
  return <Badge tone={tone}>{word}</Badge>
}

/** The filter of the page as the parameters of the API. Without a range, all that is kept is listed. */
function queryOf (search: DeliveriesSearch, environment: Delivery['environment'], now: number) {
  const { state, status, topic, webhookId, eventId, allEnvironments } = search
  const hasRange = search.range !== undefined || search.from !== undefined
  const { from } = timesOf(search, '30d', now)
  return {
    state,
    statusClass: status,
    topic,
    webhookId,
    eventId,
    environment: allEnvironments === true ? undefined : environment,
    from: hasRange ? from : undefined,
    // A range that counts back has no end, so that new deliveries appear.
    to: hasRange && search.from !== undefined ? search.to : undefined
  }
}

/** The deliveries of all webhooks. A delivery opens beside them. */
export function DeliveriesPage () {
  const search = deliveriesRoute.useSearch()
  const { deliveryId } = useParams({ strict: false })
  const navigate = useNavigate()
  const scope = usePageScope()
  const [now] = useState(() => Date.now())
  const [isAtTop, setAtTop] = useState(true)
  const query = queryOf(search, scope.environment, now)
  const webhooks = useList('/api/webhooks', { query: { limit: 200 } })
  const byId = new Map((webhooks.items ?? []).map(webhook => [webhook.id, webhook]))
  // Nothing that is being read moves: a list that is scrolled is read again only at the press of a button.
  const deliveries = useList('/api/webhooks/deliveries', { query }, isAtTop ? { refetchInterval: 5000 } : {})
  const change = (changes: DeliveriesSearch) => {
    void navigate({ to: `${scopePath}/deliveries`, params: { ...scope }, search: { ...search, ...changes } })
  }
  const close = useCallback(() => {
    void navigate({ to: `${scopePath}/deliveries`, params: { ...scope }, search })
  }, [navigate, scope, search])
  const isFiltered = Object.values(search).some(value => value !== undefined)
  return (
    <Page
      title='Deliveries'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/webhooks/deliveries', query }} />
          <RedriveButton query={query} />
        </>
      }
    >
      <WithPanel
        panel={deliveryId === undefined ? null : <DeliveryPanel id={deliveryId} webhooks={byId} onClose={close} />}
      >
        <div
          className='relative flex min-h-0 flex-1 flex-col'
          onScrollCapture={event => {
            if (event.target instanceof HTMLElement) setAtTop(event.target.scrollTop < 8)
          }}
        >
          {!isAtTop && (
            <NewDeliveries
              query={query}
              newest={deliveries.items?.[0]?.createdAt}
              onShow={() => {
                document.querySelector('[data-scroll-restoration-id="list-deliveries"]')?.scrollTo({ top: 0 })
                deliveries.reload()
              }}
            />
          )}
          <DataList
            name='deliveries'
            label='Deliveries'
            rows={deliveries.items}
            columns={columnsFor(byId, search.allEnvironments === true)}
            rowKey={delivery => delivery.id}
            link={({ id }) => ({
              to: `${scopePath}/deliveries/$deliveryId`,
              params: { ...scope, deliveryId: id },
              search
            })}
            openKey={deliveryId}
            isFailure={delivery => delivery.state === 'dead' || delivery.error !== null}
            error={deliveries.error}
            onRetry={deliveries.reload}
            hasMore={deliveries.hasMore}
            isLoadingMore={deliveries.isLoadingMore}
            loadMore={deliveries.loadMore}
            toolbar={<DeliveriesToolbar search={search} webhooks={webhooks.items ?? []} onChange={change} />}
            empty={
              isFiltered
                ? (
                  <Empty
                    title='No delivery matches the filter'
                    action={
                      <Button
                        onClick={() => { void navigate({ to: `${scopePath}/deliveries`, params: { ...scope } }) }}
                      >
                        Clear the filter
                      </Button>
                  }
                  />
                  )
                : (
                  <Empty
                    title='There are no deliveries yet'
                    action={
                      <Link to={`${scopePath}/webhooks`} params={{ ...scope }} className={buttonLook()}>
                        Show the endpoints
                      </Link>
                    }
                  >
                    An event that a webhook listens to makes a delivery. Create a webhook and publish an event.
                  </Empty>
                  )
            }
          />
        </div>
      </WithPanel>
    </Page>
  )
}

/** A pill that tells how many deliveries are newer than those shown. */
function NewDeliveries ({
  query,
  newest,
  onShow
}: {
  query: ReturnType<typeof queryOf>
  newest: number | undefined
  onShow: () => void
}) {
  const latest = useGet(
    '/api/webhooks/deliveries',
    { query: { ...query, from: (newest ?? 0) + 1, limit: 100 } },
    { enabled: newest !== undefined, refetchInterval: 5000 }
  )
  const count = latest.data?.length ?? 0
  if (count === 0) return null
  return (
    <button type='button' className='absolute bottom-4 left-1/2 z-20 -translate-x-1/2 rounded-full bg-accent px-3 py-1 text-on-accent shadow-over' onClick={onShow}>
      {count === 100 ? '100+' : count} new
    </button>
  )
}
