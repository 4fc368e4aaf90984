import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'
import type { Scope } from '../app/api.ts'
import { LiveProvider, useScopeConnection } from '../app/live.ts'
import { useGlobal } from '../app/queries.ts'
import { rememberScope } from '../app/scope.ts'
import { useLiveClient } from '../shell/live-client.ts'
import { Page } from '../components/page.tsx'
import { Loaded, Skeleton } from '../components/states.tsx'
import { ApplicationStep } from './application-step.tsx'
import { EventSteps } from './event-steps.tsx'
import { NextLinks } from './next-links.tsx'
import { firstStepsRoute } from './routes.ts'
import { Step } from './step.tsx'
import { TopicStep } from './topic-step.tsx'

/** The way to the first event: an application, a topic, an event, and its arrival. Everything is done in this page. */
export function FirstStepsPage () {
  const applications = useGlobal('/api/applications', { query: { limit: 1000 } })
  return (
    <Page
      title='First steps'
      description='From nothing to an event that arrives: four steps, all of them on this page.'
    >
      <Loaded query={applications} skeleton={<Skeleton lines={6} className='max-w-2xl' />}>
        {list => <Path applications={list} />}
      </Loaded>
    </Page>
  )
}

function Path ({ applications }: { applications: readonly { id: string; name: string }[] }) {
  const search = firstStepsRoute.useSearch()
  const navigate = useNavigate({ from: '/first-steps' })
  const application = applications.find(({ id }) => id === search.application)
  return (
    <ol className='max-w-3xl' aria-label='Steps'>
      <Step number={1} title='Create an application' state={application === undefined ? 'current' : 'done'}>
        <ApplicationStep
          applications={applications}
          application={application}
          onChoose={id => {
            void navigate({ search: { application: id } })
          }}
        />
      </Step>
      {application === undefined
        ? (
          <Later />
          )
        : (
          <InApplication
            key={application.id}
            application={application}
            topic={search.topic}
            onTopic={topic => {
              void navigate({ search: { ...search, topic } })
            }}
          />
          )}
    </ol>
  )
}

const Later = () => (
  <>
    <Step number={2} title='Create a topic' state='later'>
      <p className='text-muted'>Events of one kind go to one topic, such as order.placed.</p>
    </Step>
    <Step number={3} title='Publish an event' state='later'>
      <p className='text-muted'>It is stored in the log of the topic, at an offset.</p>
    </Step>
    <Step number={4} title='Watch it arrive' state='later'>
      <p className='text-muted'>This page subscribes to the topic, and shows what arrives.</p>
    </Step>
  </>
)

function InApplication ({
  application,
  topic,
  onTopic
}: {
  application: { id: string; name: string }
  topic: string | undefined
  onTopic: (topic: string | undefined) => void
}) {
  const { id: applicationId } = application
  useEffect(() => {
    rememberScope({ applicationId, environment: 'development' })
  }, [applicationId])
  const scope: Scope = { applicationId, environment: 'development' }
  const client = useScopeConnection(scope)
  useLiveClient(client)
  return (
    <>
      <Step number={2} title='Create a topic' state={topic === undefined ? 'current' : 'done'}>
        <TopicStep scope={scope} topic={topic} onTopic={onTopic} />
      </Step>
      {topic === undefined || client === null
        ? (
          <>
            <Step number={3} title='Publish an event' state='later'>
              <p className='text-muted'>It is stored in the log of the topic, at an offset.</p>
            </Step>
            <Step number={4} title='Watch it arrive' state='later'>
              <p className='text-muted'>This page subscribes to the topic, and shows what arrives.</p>
            </Step>
          </>
          )
        : (
          <LiveProvider value={client}>
            <EventSteps key={topic} scope={scope} topic={topic} />
            <NextLinks scope={scope} topic={topic} />
          </LiveProvider>
          )}
    </>
  )
}
