import { unwrap } from '@realtime-platform/client/admin'
import { useMutation } from '@tanstack/react-query'
import type { RealtimeError } from '@realtime-platform/client'
import { BookOpen, ExternalLink } from 'lucide-react'
import { useState } from 'react'
import { apiFor } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Button, buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Select } from '../components/field.tsx'
import { Page, Section } from '../components/page.tsx'
import { Time } from '../components/time.tsx'
import { snippetsFor } from './snippets.ts'

const documents = [
  { href: '/docs', label: 'REST API', text: 'Every route with its parameters, answers and errors.' },
  {
    href: '/docs/PROTOCOL.md',
    label: 'Socket protocol',
    text: 'Requests, messages and close codes, and how a client resumes.'
  },
  {
    href: '/docs/CLIENT.md',
    label: 'Client library',
    text: 'Subscriptions, documents, channels, React, Node and webhooks.'
  },
  { href: '/openapi.json', label: 'openapi.json', text: 'The REST API for generators.' },
  { href: '/asyncapi.json', label: 'asyncapi.json', text: 'The socket protocol for generators.' }
]

/** Snippets for the application and environment that are shown, and the way to the documentation. */
export function ApiPage () {
  return (
    <Page title='API'>
      <div className='grid gap-4 xl:grid-cols-[minmax(0,1fr)_20rem]'>
        <Snippets />
        <Section title='Documentation'>
          <ul className='grid gap-3'>
            {documents.map(({ href, label, text }) => (
              <li key={href}>
                <a
                  href={href}
                  target='_blank'
                  rel='noreferrer'
                  className='inline-flex items-center gap-1 font-medium text-accent hover:underline'
                >
                  {label} <ExternalLink size={12} aria-hidden />
                </a>
                <p className='text-muted'>{text}</p>
              </li>
            ))}
          </ul>
          <a href='/docs' target='_blank' rel='noreferrer' className={`mt-4 ${buttonLook()}`}>
            <BookOpen size={14} aria-hidden />
            Open the reference
          </a>
        </Section>
      </div>
    </Page>
  )
}

function Snippets () {
  const scope = usePageScope()
  const may = useMay()
  const topics = useList('/api/topics', {}, { enabled: may('topics:read') }).items ?? []
  const [chosen, setChosen] = useState<string>()
  const topic = chosen ?? topics[0]?.name ?? 'order.placed'
  const mint = useMutation<{ token: string; expiresAt: number }, RealtimeError>({
    // The least that the snippets need: this topic, this environment, fifteen minutes.
    mutationFn: () =>
      unwrap(
        apiFor(scope).POST('/auth/token', {
          body: {
            applicationId: scope.applicationId,
            environment: scope.environment,
            expiresIn: 900,
            subject: 'snippet',
            permissions: [`subscribe:${topic}`, `publish:${topic}`]
          }
        })
      )
  })
  return (
    <Section
      title='Snippets'
      actions={
        <div className='flex flex-wrap items-center gap-2'>
          <Select
            aria-label='Topic'
            value={topic}
            className='w-48!'
            choices={(topics.length === 0 ? [{ name: topic }] : topics).map(({ name }) => ({
              value: name,
              label: name
            }))}
            onChange={name => {
              setChosen(name)
              mint.reset()
            }}
          />
          {may('tokens:create') && (
            <Button isBusy={mint.isPending} onClick={() => mint.mutate()}>
              {mint.data === undefined ? 'Fill in a token' : 'Fill in a new token'}
            </Button>
          )}
        </div>
      }
    >
      <div className='grid gap-3'>
        {mint.error !== null && <ErrorNote error={mint.error} />}
        <p className='text-muted'>
          {mint.data === undefined
            ? (
                'The snippets read the token from the variable TOKEN.'
              )
            : (
              <>
                The token may publish and subscribe to {topic} in {scope.environment}. It expires{' '}
                <Time at={mint.data.expiresAt} />.
              </>
              )}
        </p>
        {snippetsFor({ url: location.origin, topic, token: mint.data?.token }).map(({ label, text }) => (
          <CodeBlock key={label} label={label} text={text} />
        ))}
      </div>
    </Section>
  )
}
