import { Section } from '../components/page.tsx'
import { webhookVerifyRoute } from './routes.ts'
import { TestRequest } from './test-request.tsx'
import { VerifySnippets } from './verify-snippets.tsx'
import { WebhookFrame } from './webhook-frame.tsx'

/** How an endpoint verifies the signature, and a test request to try it. */
export function WebhookVerifyPage () {
  const { id } = webhookVerifyRoute.useParams()
  return (
    <WebhookFrame id={id}>
      {() => (
        <div className='grid max-w-3xl gap-4'>
          <Section title='Verify the signature of each request'>
            <p className='mb-3 text-muted'>
              Requests follow Standard Webhooks: HMAC-SHA256 over <code className='font-mono'>id.timestamp.body</code>
              . Verify the bytes as they arrive, before they are parsed.
            </p>
            <VerifySnippets />
          </Section>
          <Section title='Test request'>
            <TestRequest webhookId={id} />
          </Section>
        </div>
      )}
    </WebhookFrame>
  )
}
