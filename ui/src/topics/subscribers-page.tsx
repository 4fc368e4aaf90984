import { Link } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import type { RealtimeError } from '@realtime-platform/client'
import { unwrap, type DataOf as AnswerOf } from '@realtime-platform/client/admin'
import { apiFor } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useGet, useList } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Code, CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Section } from '../components/page.tsx'
import { Loaded, Refused } from '../components/states.tsx'
import { pathLink } from './path-link.ts'
import { subscribersRoute } from './routes.ts'
import { TopicFrame, type Topic } from './topic-frame.tsx'
import { useHotTopics } from './topic-rates.tsx'

/** The live subscriptions and webhooks that would get an event of a topic. */
export function SubscribersPage () {
  const { name } = subscribersRoute.useParams()
  const may = useMay()
  return (
    <TopicFrame name={name}>
      {topic =>
        may('debugger:read')
          ? (
            <Subscribers name={name} topic={topic} />
            )
          : (
            <Refused message='Permission required: debugger:read' />
            )}
    </TopicFrame>
  )
}

function Subscribers ({ name, topic }: { name: string; topic: Topic | null }) {
  const path = { name }
  const may = useMay()
  const last = useGet(
    '/api/topics/{name}/events',
    { path, query: { order: 'desc', limit: 1 } },
    {
      enabled: may('events:read')
    }
  )
  const hasSample = last.data?.length === 0 && topic?.activeSchemaVersion != null
  const sample = useGet('/api/topics/{name}/sample', { path }, { enabled: hasSample })
  const event = last.data?.[0]
  const isReady = !last.isLoading && !sample.isLoading
  const payload = event?.payload ?? sample.data?.payload ?? {}
  const source = event !== undefined ? 'the last event' : hasSample ? 'a sample of the schema' : 'an empty object'
  return <Prediction name={name} payload={payload} isReady={isReady} source={source} />
}

interface PredictionProps {
  name: string
  payload: unknown
  /** Where the payload is from, in words. */
  source: string
  isReady: boolean
}

type Route = AnswerOf<Awaited<ReturnType<typeof predict>>>

const predict = (scope: Parameters<typeof apiFor>[0], topic: string, payload: unknown) =>
  apiFor(scope).POST('/api/debugger/route', { body: { topic, payload: payload as Record<string, never> } })

function Prediction ({ name, payload, source, isReady }: PredictionProps) {
  const scope = usePageScope()
  const live = useHotTopics().get(name)?.subscribers
  const query = useQuery<Route, RealtimeError>({
    queryKey: ['/api/debugger/route', scope.applicationId, scope.environment, name, payload],
    queryFn: () => unwrap(predict(scope, name, payload)),
    enabled: isReady,
    refetchInterval: 10_000
  })
  return (
    <Loaded query={query}>
      {route => (
        <div className='grid gap-4'>
          <Subscriptions route={route} name={name} live={live} payload={payload} />
          <Webhooks route={route} />
          <Section title='Payload of the dry run'>
            <p className='mb-2 text-muted'>
              Whether a filter matches depends on the payload. This is {source}. Nothing was stored or sent.
            </p>
            <JsonView value={payload} label='Payload' />
          </Section>
        </div>
      )}
    </Loaded>
  )
}

interface SubscriptionsProps {
  route: Route
  name: string
  live: number | undefined
  payload: unknown
}

function Subscriptions ({ route, name, live, payload }: SubscriptionsProps) {
  const count = route.matched + route.filtered
  return (
    <Section
      title={`Live subscriptions (${Math.max(count, live ?? 0)})`}
      actions={<CopyAs request={{ method: 'POST', path: '/api/debugger/route', body: { topic: name, payload } }} />}
      isPlain={count > 0}
    >
      {count === 0
        ? (
          <div className='grid gap-2'>
            <p className='text-muted'>Nobody is subscribed. A client receives the events of this topic with:</p>
            <CodeBlock text={`client.topic('${name}').subscribe(event => console.log(event.offset, event.payload))`} />
          </div>
          )
        : (
          <Table headers={['Subscription', 'Subscribed to', 'Connection', 'Would get it']}>
            {route.subscriptions.map(({ subscriptionId, subscribedTo, socketId, matches, conditions }) => (
              <tr key={subscriptionId} className='border-t border-line/60'>
                <td className={cell}>
                  <Code isCopyable>{subscriptionId}</Code>
                </td>
                <td className={cell}>{subscribedTo}</td>
                <td className={cell}>
                  <Code isCopyable>{socketId}</Code>
                </td>
                <td className={cell}>
                  <Verdict matches={matches} conditions={conditions} />
                </td>
              </tr>
            ))}
          </Table>
          )}
      {count > route.subscriptions.length && (
        <p className='p-3 text-muted'>
          {count - route.subscriptions.length} more. The first 100 of each kind are listed.
        </p>
      )}
    </Section>
  )
}

function Webhooks ({ route }: { route: Route }) {
  const scope = usePageScope()
  const may = useMay()
  const { items = [] } = useList('/api/webhooks', { query: { limit: 100 } }, { enabled: may('webhooks:read') })
  const urls = new Map(items.map(({ id, url }) => [id, url]))
  const webhooks = route.webhooks.toSorted((a, b) => Number(b.matches) - Number(a.matches))
  return (
    <Section title={`Webhooks (${webhooks.filter(({ matches }) => matches).length})`} isPlain={webhooks.length > 0}>
      {webhooks.length === 0
        ? (
          <p className='text-muted'>No webhook of the application receives events of this topic.</p>
          )
        : (
          <Table headers={['Webhook', 'URL', 'Would get it']}>
            {webhooks.map(({ webhookId, matches, conditions }) => (
              <tr key={webhookId} className='border-t border-line/60'>
                <td className={cell}>
                  <Link
                    {...pathLink(scope, '/webhooks/$id', { id: webhookId })}
                    className='font-mono text-xs hover:underline'
                  >
                    {webhookId}
                  </Link>
                </td>
                <td className={`${cell} max-w-80 truncate`} title={urls.get(webhookId)}>
                  {urls.get(webhookId)}
                </td>
                <td className={cell}>
                  <Verdict matches={matches} conditions={conditions} />
                </td>
              </tr>
            ))}
          </Table>
          )}
    </Section>
  )
}

const cell = 'h-8 px-3 py-1.5 align-baseline'

function Table ({ headers, children }: { headers: readonly string[]; children: React.ReactNode }) {
  return (
    <div className='overflow-x-auto' tabIndex={0} role='region' aria-label={headers[0]}>
      <table className='w-full min-w-4xl text-left'>
        <thead>
          <tr className='text-xs text-muted'>
            {headers.map(header => (
              <th key={header} scope='col' className='px-3 py-1.5 font-medium'>
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

interface VerdictProps {
  matches: boolean
  conditions: readonly { holds: boolean; message: string }[]
}

function Verdict ({ matches, conditions }: VerdictProps) {
  if (matches) return <Badge tone='ok'>yes</Badge>
  return (
    <span className='flex items-start gap-2'>
      <Badge>no</Badge>
      <span className='text-muted'>{conditions.find(({ holds }) => !holds)?.message}</span>
    </span>
  )
}
