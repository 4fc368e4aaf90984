import { Link, useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button, buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Page, Section, type Crumb } from '../components/page.tsx'
import { Refused } from '../components/states.tsx'
import { SecretOnce } from './secret-once.tsx'
import { shortUrl } from './status.ts'
import { TestRequest } from './test-request.tsx'
import { VerifySnippets } from './verify-snippets.tsx'
import { bodyOf, emptyValues, fieldNames, WebhookFields, type WebhookValues } from './webhook-fields.tsx'

interface Created {
  id: string
  url: string
  secret: string | undefined
}

/** Creates a webhook, then shows its secret once. */
export function NewWebhookPage () {
  const scope = usePageScope()
  const may = useMay()
  const [created, setCreated] = useState<Created>()
  const crumbs: Crumb[] = [{ label: 'Webhooks', link: { to: `${scopePath}/webhooks`, params: { ...scope } } }]
  if (created !== undefined) return <CreatedPage created={created} />
  return (
    <Page title='Create webhook' crumbs={crumbs}>
      {may('webhooks:create')
        ? (
          <NewWebhookForm onCreated={setCreated} />
          )
        : (
          <Refused message='Permission required: webhooks:create' />
          )}
    </Page>
  )
}

function NewWebhookForm ({ onCreated }: { onCreated: (created: Created) => void }) {
  const scope = usePageScope()
  const navigate = useNavigate()
  const create = useAction(
    (api, values: WebhookValues) => api.POST('/api/webhooks', { body: withoutNulls(bodyOf(values)) }),
    { invalidates: ['/api/webhooks'], isErrorShown: true, done: 'Webhook created' }
  )
  const form = useForm(
    emptyValues(scope.environment),
    async values => onCreated({ secret: undefined, ...(await create.mutateAsync(values)) }),
    { mayLeave: false }
  )
  return (
    <Form form={form} fields={fieldNames} className='grid max-w-2xl gap-4'>
      <WebhookFields form={form} isNew />
      <Buttons>
        <CopyAs request={{ method: 'POST', path: '/api/webhooks', body: safeBody(form.values) }} />
        <Button
          onClick={() => {
            void navigate({ to: `${scopePath}/webhooks`, params: { ...scope } })
          }}
        >
          Cancel
        </Button>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Create webhook
        </Button>
      </Buttons>
    </Form>
  )
}

function CreatedPage ({ created: { id, url, secret } }: { created: Created }) {
  const scope = usePageScope()
  const top = useRef<HTMLDivElement>(null)
  // The form was longer, and the secret is at the top.
  useEffect(() => {
    // Chromium returns a promise, which React would take for the cleanup.
    void top.current?.scrollIntoView({ block: 'start' })
  }, [])
  return (
    <Page
      title={shortUrl(url)}
      crumbs={[{ label: 'Webhooks', link: { to: `${scopePath}/webhooks`, params: { ...scope } } }]}
      actions={
        <Link to={`${scopePath}/webhooks/$id`} params={{ ...scope, id }} className={buttonLook('primary')}>
          Open the webhook
        </Link>
      }
    >
      <div ref={top} className='grid max-w-3xl scroll-mt-32 gap-4'>
        {secret !== undefined && (
          <SecretOnce
            secret={secret}
            note='Requests are signed with it. Set it as WEBHOOK_SECRET of your endpoint.'
          />
        )}
        <Section title='1. Verify the signature of each request'>
          <VerifySnippets />
        </Section>
        <Section title='2. Send a test request'>
          <TestRequest webhookId={id} />
        </Section>
      </div>
    </Page>
  )
}

/** A new webhook leaves out what is null. */
function withoutNulls ({ description, topics, filter, environments, rateLimit, ...rest }: ReturnType<typeof bodyOf>) {
  return {
    ...rest,
    ...(description !== null && { description }),
    ...(topics !== null && { topics }),
    ...(filter !== null && { filter }),
    ...(environments !== null && { environments }),
    ...(rateLimit !== null && { rateLimit })
  }
}

/** The body for a copied command; the filter is left out while it is not JSON. */
function safeBody (values: WebhookValues) {
  try {
    return withoutNulls(bodyOf(values))
  } catch {
    return withoutNulls(bodyOf({ ...values, filter: '' }))
  }
}
