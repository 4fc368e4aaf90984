import { Link } from '@tanstack/react-router'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Code } from '../components/code.tsx'
import type { Trace } from './words.ts'

/** The subscriptions that an event matched or not, by node. Each leads to its explanation. */
export function RoutedFacts ({ trace: { routed, eventId } }: { trace: Trace }) {
  const scope = usePageScope()
  return (
    <div className='grid gap-3'>
      {routed.map(({ node, matched, filtered, subscriptions }) => (
        <div key={node} className='grid gap-1'>
          <p className='text-muted'>
            On <Code>{node}</Code>: {matched} matched, {filtered} filtered
          </p>
          <ul className='grid gap-0.5'>
            {subscriptions.map(({ subscriptionId, matched }) => (
              <li key={subscriptionId} className='flex flex-wrap items-center gap-2'>
                <Badge tone={matched ? 'ok' : 'neutral'}>{matched ? 'matched' : 'filtered'}</Badge>
                <Code isCopyable>{subscriptionId}</Code>
                <Link
                  to={`${scopePath}/debugger/explain`}
                  params={{ ...scope }}
                  search={{ eventId, subscriptionId }}
                  className='text-accent hover:underline'
                >
                  {matched ? 'Explain' : 'Why not?'}
                </Link>
              </li>
            ))}
          </ul>
          {subscriptions.length < matched + filtered && (
            <p className='text-xs text-muted'>The first 20 of each kind are kept.</p>
          )}
        </div>
      ))}
    </div>
  )
}
