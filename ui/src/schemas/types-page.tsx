import { unwrap } from '@realtime-platform/client/admin'
import { useQuery } from '@tanstack/react-query'
import { Download } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { useAction } from '../app/actions.ts'
import { apiFor, scopeKey } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { save } from '../components/export.ts'
import { Page, Section } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { SchemaFrame } from './frame.tsx'
import { topicTypesRoute } from './routes.ts'
import { typesOfTopic } from './topic-types.ts'

const path = '/api/schemas/types.ts'

function useTypes () {
  const scope = usePageScope()
  return useQuery({
    queryKey: [path, scopeKey(scope)],
    queryFn: async ({ signal }): Promise<string> =>
      String(await unwrap(apiFor(scope).GET(path, { parseAs: 'text', signal })))
  })
}

/** The TypeScript types of all topics of the environment, and its AsyncAPI document. */
export function TypesPage () {
  const scope = usePageScope()
  const types = useTypes()
  return (
    <Page
      title='Generated types'
      crumbs={[{ label: 'Schemas', link: { to: `${scopePath}/schemas`, params: scope } }]}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path }} />
          <AsyncApiDownload />
          <DownloadTypes text={types.data} />
        </>
      }
    >
      <Loaded query={types}>
        {text => (
          <Layout>
            <CodeBlock text={text} label='topics.ts' />
          </Layout>
        )}
      </Loaded>
    </Page>
  )
}

/** The types of one topic. */
export function TopicTypesPage () {
  const { topic } = topicTypesRoute.useParams()
  const types = useTypes()
  const excerpt = useMemo(
    () => (types.data === undefined ? undefined : typesOfTopic(types.data, topic)),
    [types.data, topic]
  )
  return (
    <SchemaFrame
      topic={topic}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path }} />
          <DownloadTypes text={types.data} />
        </>
      }
    >
      <Loaded query={types}>
        {() => (
          <Layout>
            <CodeBlock text={excerpt ?? '// The topic is not registered.'} label={`The type of ${topic}`} />
          </Layout>
        )}
      </Loaded>
    </SchemaFrame>
  )
}

function Layout ({ children }: { children: ReactNode }) {
  const { applicationId, environment } = usePageScope()
  return (
    <div className='grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]'>
      <div className='min-w-0'>{children}</div>
      <Section title='In your project'>
        <div className='grid grid-cols-1 gap-3'>
          <p className='text-muted'>
            The command writes the file. In CI, <code className='font-mono text-text'>--check</code> fails when it no
            longer matches the registry.
          </p>
          <CodeBlock
            label='Write the types'
            text={[
              `export REALTIME_URL=${location.origin}`,
              `export REALTIME_APPLICATION=${applicationId} REALTIME_ENVIRONMENT=${environment}`,
              'npx realtime-platform generate -o src/topics.ts'
            ].join('\n')}
          />
          <CodeBlock label='Check them in CI' text='npx realtime-platform generate -o src/topics.ts --check' />
          <CodeBlock
            label='Use them'
            text={[
              "import { RealtimeClient } from '@realtime-platform/client'",
              "import type { TopicMap } from './topics.ts'",
              '',
              `const client = new RealtimeClient<TopicMap>({ url: '${location.origin}', token })`
            ].join('\n')}
          />
        </div>
      </Section>
    </div>
  )
}

const DownloadTypes = ({ text }: { text: string | undefined }) => (
  <Button
    kind='primary'
    icon={<Download size={15} aria-hidden />}
    disabled={text === undefined}
    onClick={() => save('topics.ts', text ?? '', 'text/plain')}
  >
    Download types
  </Button>
)

function AsyncApiDownload () {
  const may = useMay()
  const download = useAction(api => api.GET('/api/asyncapi.json', {}), {
    done: 'AsyncAPI document downloaded',
    onDone: document => save('asyncapi.json', JSON.stringify(document, null, 2), 'application/json')
  })
  if (!may('schemas:read')) return null
  return (
    <Button
      icon={<Download size={15} aria-hidden />}
      isBusy={download.isPending}
      onClick={() => download.mutate(undefined)}
    >
      AsyncAPI document
    </Button>
  )
}
