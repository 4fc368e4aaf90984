import { Link } from '@tanstack/react-router'
import { usePageScope } from '../app/scope.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { CodeBlock } from '../components/code.tsx'
import { toCurl, type Request } from '../components/copy-as.tsx'
import { Section } from '../components/page.tsx'

export const alertWebhook: Request = {
  method: 'POST',
  path: '/api/webhooks',
  body: { url: 'https://example.com/alerts', events: ['alert.firing', 'alert.resolved'] }
}

const subscription = `client.topic('system.alert').subscribe(({ type, payload }) => {
  console.log(type, payload.severity, payload.summary)
})`

/** How alerts reach people: a webhook, or a subscription. */
export function DeliveryHint () {
  const scope = usePageScope()
  const link = useScopedLink()
  return (
    <Section title='Get alerts where you work'>
      <div className='grid gap-3'>
        <p className='text-muted'>
          Each change of an alert is an event on the topic <code className='font-mono text-text'>system.alert</code>.
          A{' '}
          <Link {...link('/webhooks')} className='text-accent underline'>
            webhook
          </Link>{' '}
          for <code className='font-mono'>alert.firing</code> and <code className='font-mono'>alert.resolved</code>{' '}
          sends it to your chat or pager:
        </p>
        <CodeBlock text={toCurl(alertWebhook, scope)} label='curl' />
        <CodeBlock text={subscription} label='Client library' />
      </div>
    </Section>
  )
}
