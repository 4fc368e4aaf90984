import type { RealtimeError } from '@realtime-platform/client'
import { useLiveAlerts } from '../alerts/live-alerts.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { CopyAs } from '../components/copy-as.tsx'
import { Page } from '../components/page.tsx'
import { Loaded, Skeleton } from '../components/states.tsx'
import { HotTopics } from '../monitoring/hot-topics.tsx'
import { useReadiness } from '../monitoring/readiness.ts'
import { Attention } from './attention.tsx'
import { Figures } from './figures.tsx'
import { FirstStepsCard } from './first-steps-card.tsx'
import { Health } from './health.tsx'
import { OpenDeployments } from './open-deployments.tsx'
import { problemsOf, type Facts } from './problems.ts'

/** The state of an environment at a glance: what is wrong first, then the live figures. */
export function OverviewPage () {
  const may = useMay()
  const link = useScopedLink()
  const { applicationId } = usePageScope()
  useLiveAlerts()
  const { facts, isLoading } = useFacts()
  const numbers = useGet('/api/metrics/dashboard', undefined, { refetchInterval: 5000, enabled: may('metrics:read') })
  const topics = useGet('/api/topics', { query: { limit: 1 } }, { enabled: may('topics:read') })
  return (
    <Page title='Overview' actions={<CopyAs request={{ method: 'GET', path: '/api/metrics/dashboard' }} />}>
      <div className='grid grid-cols-[minmax(0,1fr)] gap-4'>
        <Attention problems={isLoading ? undefined : problemsOf(facts, link, applicationId)} />
        {topics.data?.length === 0 && <FirstStepsCard />}
        {may('metrics:read') && (
          <Loaded query={numbers} skeleton={<Skeleton className='h-64' />}>
            {data => <Figures numbers={data} />}
          </Loaded>
        )}
        <div className='grid items-start gap-4 lg:grid-cols-3'>
          {may('metrics:read') && <HotTopics />}
          {may('deployments:read') && <OpenDeployments />}
          <Health facts={facts} mayConnect={may('mappings:read')} />
        </div>
      </div>
    </Page>
  )
}

/** Reads what the problems are found in. A part that fails is named, so that "all good" is never said for it. */
function useFacts (): { facts: Facts; isLoading: boolean } {
  const may = useMay()
  const often = { refetchInterval: 15_000 }
  const readiness = useReadiness()
  const alerts = useGet(
    '/api/alerts',
    { query: { status: 'firing', limit: 100 } },
    {
      ...often,
      enabled: may('alerts:read')
    }
  )
  const connection = useGet('/api/database/connection', undefined, { ...often, enabled: may('mappings:read') })
  const webhooks = useGet('/api/webhooks', { query: { limit: 1000 } }, { ...often, enabled: may('webhooks:read') })
  const numbers = useGet('/api/metrics/dashboard', undefined, { enabled: may('metrics:read') })
  const parts = [
    ['Readiness', readiness],
    ['Alerts', alerts],
    ['The database connection', connection],
    ['Webhooks', webhooks],
    ['The live figures', numbers]
  ] as const
  return {
    facts: {
      alerts: alerts.data,
      readiness: readiness.data,
      connection: connection.error === null ? connection.data : undefined,
      webhooks: webhooks.data,
      deadCount: numbers.data?.reliability.dlqSize,
      unread: parts.filter(([, { error }]) => isFailure(error)).map(([name]) => name)
    },
    isLoading: parts.some(([, { isLoading }]) => isLoading)
  }
}

/** There may be no connection (404), and a role may not cover a part (403): neither is a failure. */
function isFailure (error: Error | RealtimeError | null): boolean {
  if (error === null) return false
  const status = 'status' in error ? error.status : undefined
  return status !== 404 && status !== 403
}
