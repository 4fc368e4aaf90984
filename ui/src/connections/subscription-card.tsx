import { Link } from '@tanstack/react-router'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Code } from '../components/code.tsx'
import { JsonView } from '../components/json-view.tsx'
import { formatCount } from '../components/number.ts'
import { Time } from '../components/time.tsx'
import { explainLink, type ConnectionSubscription } from './connections.ts'

/** One subscription of a connection: its topic and filter, and how far it has come in each topic. */
export function SubscriptionCard ({ subscription }: { subscription: ConnectionSubscription }) {
  const scope = usePageScope()
  const { id, topic, returnMode, startedAt, hasFilter, filter, topicCount, positions } = subscription
  const isPattern = topic.includes('*')
  const lag = positions.reduce((sum, position) => sum + (position.lag ?? 0), 0)
  return (
    <article aria-label={`Subscription to ${topic}`} className='grid gap-2 rounded border border-line p-3'>
      <div className='flex flex-wrap items-center justify-between gap-2'>
        {isPattern
          ? (
            <span className='font-medium'>{topic}</span>
            )
          : (
            <Link
              to={`${scopePath}/topics/$name`}
              params={{ ...scope, name: topic }}
              className='font-medium text-accent hover:underline'
            >
              {topic}
            </Link>
            )}
        <span className='flex gap-1'>
          {isPattern && <Badge hasIcon={false}>{formatCount(topicCount)} topics</Badge>}
          {returnMode !== 'full' && <Badge hasIcon={false}>{returnMode}</Badge>}
          {positions.length > 0 && (
            <Badge tone={lag === 0 ? 'ok' : 'warning'}>
              {lag === 0 ? 'up to date' : `${formatCount(lag)} behind`}
            </Badge>
          )}
        </span>
      </div>
      {filter !== null && <JsonView value={filter} label='Filter' />}
      {hasFilter && filter === null && (
        <p className='text-muted'>It has a filter, which you may not see: you may not subscribe to the topic.</p>
      )}
      {!hasFilter && <p className='text-muted'>Without a filter: every event.</p>}
      {positions.length > 0 && (
        <div tabIndex={0} role='region' aria-label={`Positions of ${topic}`} className='max-h-40 overflow-auto'>
          <table className='w-full text-xs'>
            <thead>
              <tr className='text-left text-muted'>
                <th className='font-medium'>Topic</th>
                <th className='text-right font-medium'>From offset</th>
                <th className='text-right font-medium'>Reached</th>
                <th className='text-right font-medium'>Lag</th>
              </tr>
            </thead>
            <tbody>
              {positions.map(({ topic, after, position, lag }) => (
                <tr key={topic}>
                  <td className='max-w-40 truncate'>{topic}</td>
                  <td className='text-right'>{formatCount(after + 1)}</td>
                  <td className='text-right'>{formatCount(position)}</td>
                  <td className='text-right'>{lag === null ? '–' : formatCount(lag)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div className='flex flex-wrap items-center justify-between gap-2 text-xs text-muted'>
        <span className='flex items-center gap-2'>
          <Code isCopyable>{id}</Code> since <Time at={startedAt} />
        </span>
        <Link {...explainLink(scope, id)} className='text-accent hover:underline'>
          Why did it not get an event?
        </Link>
      </div>
    </article>
  )
}
