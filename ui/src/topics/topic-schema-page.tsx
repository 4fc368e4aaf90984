import { Link } from '@tanstack/react-router'
import type { DataOf } from '../app/api.ts'
import { useGet } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Empty, Loaded } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { pathLink } from './path-link.ts'
import { topicSchemaRoute } from './routes.ts'
import { TopicFrame, type Topic } from './topic-frame.tsx'

/** The schema that payloads of a topic are checked against. */
export function TopicSchemaPage () {
  const { name } = topicSchemaRoute.useParams()
  return (
    <TopicFrame name={name}>
      {topic =>
        topic?.activeSchemaVersion == null
          ? (
            <NoSchema name={name} />
            )
          : (
            <ActiveSchema topic={topic} version={topic.activeSchemaVersion} />
            )}
    </TopicFrame>
  )
}

function ActiveSchema ({ topic: { name }, version }: { topic: Topic; version: number }) {
  const path = { topic: name, version }
  const schema = useGet('/api/schemas/{topic}/versions/{version}', { path }, { staleTime: 60_000 })
  const sample = useGet('/api/topics/{name}/sample', { path: { name } }, { staleTime: 60_000 })
  return (
    <Loaded query={schema}>
      {found => (
        <div className='grid items-start gap-4 lg:grid-cols-2'>
          <Section
            title={`Version ${version}`}
            actions={
              <span className='flex items-center gap-2'>
                <Badge tone='ok'>active</Badge>
                <CopyAs
                  request={{
                    method: 'GET',
                    path: '/api/schemas/{topic}/versions/{version}',
                    params: { topic: name, version: String(version) }
                  }}
                />
                <SchemasLink name={name} />
              </span>
            }
          >
            <Facts schema={found} />
            <JsonView value={found.schema} label='Schema' />
          </Section>
          <Section
            title='Example of a valid payload'
            actions={<CopyAs request={{ method: 'GET', path: '/api/topics/{name}/sample', params: { name } }} />}
          >
            <Loaded query={sample}>{({ payload }) => <JsonView value={payload} label='Sample' />}</Loaded>
          </Section>
        </div>
      )}
    </Loaded>
  )
}

const Facts = ({ schema }: { schema: DataOf<'/api/schemas/{topic}/versions/{version}'> }) => (
  <div className='mb-3'>
    <Properties
      items={[
        ['Registered', <Time key='at' at={schema.createdAt} />],
        ['Compatibility', schema.compatibilityMode.replaceAll('_', ' ')],
        ['Policy', schema.policy]
      ]}
    />
  </div>
)

function NoSchema ({ name }: { name: string }) {
  const scope = usePageScope()
  const request = {
    method: 'POST',
    path: '/api/schemas/{topic}',
    params: { topic: name },
    body: { schema: { type: 'object', properties: { total: { type: 'number' } } }, compatibilityMode: 'backward' }
  } as const
  return (
    <Empty title='Payloads of this topic are not checked' action={<SchemasLink name={name} />}>
      <p className='mb-3'>Register a schema and activate it, so that only valid payloads are accepted:</p>
      <CodeBlock text={toCurl(request, scope)} className='text-left' />
    </Empty>
  )
}

function SchemasLink ({ name }: { name: string }) {
  const scope = usePageScope()
  return (
    <Link {...pathLink(scope, '/schemas/$topic', { topic: name })} className={buttonLook()}>
      All versions
    </Link>
  )
}
