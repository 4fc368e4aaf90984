import { useGet } from '../../app/queries.ts'
import { Skeleton } from '../../components/states.tsx'
import { publishRoute } from '../routes.ts'
import { TopicFrame, type Topic } from '../topic-frame.tsx'
import { useMay } from '../../app/me.ts'
import { Refused } from '../../components/states.tsx'
import { PublishForm } from './publish-form.tsx'
import { isSchema } from './schema.ts'

/** Publishes events to a topic. */
export function PublishPage () {
  const { name } = publishRoute.useParams()
  const may = useMay()
  return (
    <TopicFrame name={name}>
      {topic =>
        topic === null || !may('events:create')
          ? <Refused message='Permission required: events:create' />
          : <WithSchema key={name} topic={topic} />}
    </TopicFrame>
  )
}

function WithSchema ({ topic: { name, activeSchemaVersion: version } }: { topic: Topic }) {
  const may = useMay()
  const isAsked = version !== null && may('schemas:read')
  const { data, isLoading } = useGet(
    '/api/schemas/{topic}/versions/{version}',
    { path: { topic: name, version: version ?? 1 } },
    { enabled: isAsked, staleTime: 60_000 }
  )
  if (isLoading) return <Skeleton lines={6} />
  const schema = isSchema(data?.schema) ? data.schema : undefined
  return <PublishForm topic={name} version={version} schema={schema} />
}
