import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Badge } from '../components/badge.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Page, Section } from '../components/page.tsx'
import { Person } from '../components/person.tsx'
import { Loaded } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { Activity } from './activity.tsx'
import { Checks } from './checks.tsx'
import { Decisions } from './decisions.tsx'
import { ItemView } from './item-view.tsx'
import { deploymentRoute } from './routes.ts'
import { checksOf, isPending, statusTones, statusWords, type Deployment } from './words.ts'

/** A deployment: its items with fresh checks, the decisions about it, and its history. */
export function DeploymentPage () {
  const { id } = deploymentRoute.useParams()
  const link = useScopedLink()
  const may = useMay()
  // Each request makes the checks and counts the listeners again.
  const deployment = useGet('/api/deployments/{id}', { path: { id } }, { refetchInterval: 10_000 })
  const status = deployment.data?.status
  // The requests that change it have a copy button of their own.
  const isChangeable = may('deployments:update') && status !== undefined && (isPending(status) || status === 'applied')
  return (
    <Page
      title={deployment.data?.title ?? 'Deployment'}
      crumbs={[{ label: 'Deployments', link: link('/deployments') }]}
      actions={
        <>
          {!isChangeable && <CopyAs request={{ method: 'GET', path: '/api/deployments/{id}', params: { id } }} />}
          {deployment.data !== undefined && <Decisions deployment={deployment.data} />}
        </>
      }
    >
      <Loaded query={deployment}>
        {data => (
          <div className='grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1fr)_24rem]'>
            <div className='grid grid-cols-[minmax(0,1fr)] gap-4'>
              <Summary deployment={data} />
              {data.checks.length > 0 && (
                <Section title='Checks'>
                  <Checks checks={data.checks} />
                </Section>
              )}
              {data.items.map(item => (
                <ItemView key={`${item.kind} ${item.name ?? item.id}`} item={item} deployment={data} />
              ))}
            </div>
            <div className='grid grid-cols-[minmax(0,1fr)] gap-4'>
              <Listeners deployment={data} />
              <Activity deployment={data} />
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  )
}

function Summary ({ deployment }: { deployment: Deployment }) {
  const { status, source, target, description, createdBy, createdAt, ready, reason, items } = deployment
  const failing = checksOf(deployment).filter(({ ok }) => !ok).length
  const count = `${items.length} ${items.length === 1 ? 'item' : 'items'}`
  return (
    <div className='grid gap-2'>
      <div className='flex flex-wrap items-center gap-2'>
        <Badge tone={statusTones[status]}>{statusWords[status]}</Badge>
        <span className='font-medium'>
          {source} → {target}
        </span>
        {(isPending(status) || status === 'applied') && (
          <Badge tone={ready ? 'ok' : 'critical'}>
            {ready
              ? isPending(status)
                ? 'ready to apply'
                : 'can be rolled back'
              : `${failing} ${failing === 1 ? 'check fails' : 'checks fail'}`}
          </Badge>
        )}
        <span className='text-muted'>
          {count} · by <Person id={createdBy} />, <Time at={createdAt} />
        </span>
      </div>
      {description !== '' && <p className='max-w-prose break-words whitespace-pre-wrap'>{description}</p>}
      {reason !== null && <p className='text-muted'>Rejected: {reason}</p>}
    </div>
  )
}

function Listeners ({ deployment: { listeners, target } }: { deployment: Deployment }) {
  return (
    <Section title={`Listening in ${target} now`} isPlain>
      {listeners.length === 0
        ? (
          <p className='p-3 text-muted'>No topic is affected.</p>
          )
        : (
          <table className='w-full'>
            <thead>
              <tr className='border-b border-line text-xs text-muted'>
                <th className='px-3 py-1.5 text-left font-medium'>Topic</th>
                <th className='px-3 py-1.5 text-right font-medium'>Subscriptions</th>
                <th className='px-3 py-1.5 text-right font-medium'>Webhooks</th>
              </tr>
            </thead>
            <tbody>
              {listeners.map(({ topic, subscriptions, webhooks }) => (
                <tr key={topic} className='h-8 border-b border-line/60 last:border-0'>
                  <td className='w-full max-w-0 truncate px-3'>{topic}</td>
                  <td className='px-3 text-right'>{subscriptions}</td>
                  <td className='px-3 text-right'>{webhooks}</td>
                </tr>
              ))}
            </tbody>
          </table>
          )}
    </Section>
  )
}
