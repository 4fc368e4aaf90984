import { Link } from '@tanstack/react-router'
import { usePageScope } from '../app/scope.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { toCurl } from '../components/copy-as.tsx'
import { Empty } from '../components/states.tsx'
import { alertWebhook } from './delivery-hint.tsx'

/** The empty list: good news, and how to hear of bad news elsewhere. */
export function NoAlerts ({ status, isFiltered }: { status: 'firing' | 'resolved'; isFiltered: boolean }) {
  const scope = usePageScope()
  const link = useScopedLink()
  if (isFiltered) return <Empty title={`No ${status === 'firing' ? 'firing' : 'past'} alert matches the filter`} />
  if (status === 'resolved') return <Empty title='No alert has been resolved in this environment yet' />
  return (
    <Empty
      title='No alert is firing'
      action={
        <Link {...link('/alerts/rules')} className={buttonLook('primary')}>
          See the rules
        </Link>
      }
    >
      <p className='mb-3'>Alerts appear here by themselves. To get them where you work, create a webhook:</p>
      <CodeBlock text={toCurl(alertWebhook, scope)} className='text-left' />
    </Empty>
  )
}
