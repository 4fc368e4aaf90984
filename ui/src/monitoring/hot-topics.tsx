import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { useGet } from '../app/queries.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Section } from '../components/page.tsx'
import { formatCount, formatMeasure } from '../components/number.ts'
import { Loaded } from '../components/states.tsx'
import { formatDuration } from '../components/time.tsx'

/** The topics with the most events. Their order stays while the pointer or the focus is on them. */
export function HotTopics ({ limit = 8 }: { limit?: number }) {
  const link = useScopedLink()
  const [isHeld, setHeld] = useState(false)
  const topics = useGet('/api/metrics/hot-topics', { query: { limit } }, { refetchInterval: 5000 })
  const held = useRef(topics.data)
  if (!isHeld) held.current = topics.data
  const hold = () => setHeld(true)
  const release = () => setHeld(false)
  return (
    <Section title='Hot topics' isPlain>
      <div onMouseEnter={hold} onMouseLeave={release} onFocus={hold} onBlur={release}>
        <Loaded query={{ ...topics, data: held.current ?? topics.data }}>
          {rows =>
            rows.length === 0
              ? (
                <p className='p-3 text-muted'>No topic has had events or subscribers in the last minute.</p>
                )
              : (
                <div className='overflow-x-auto' tabIndex={0} role='region' aria-label='Hot topics'>
                  <table className='w-full'>
                    <thead>
                      <tr className='border-b border-line text-xs text-muted'>
                        <th className='px-3 py-1.5 text-left font-medium'>Topic</th>
                        <th className='px-3 py-1.5 text-right font-medium'>Events/s</th>
                        <th className='px-3 py-1.5 text-right font-medium'>Subscribers</th>
                        <th className='px-3 py-1.5 text-right font-medium'>Fan-out p95</th>
                      </tr>
                    </thead>
                    <tbody>
                      {rows.map(({ topic, eventsPerSec, subscribers, fanoutLatencyP95 }) => (
                        <tr key={topic} className='h-8 border-b border-line/60 last:border-0'>
                          <td className='max-w-0 w-full truncate px-3'>
                            <Link
                              {...link('/topics/$name', { params: { name: topic } })}
                              className='font-medium hover:underline'
                            >
                              {topic}
                            </Link>
                          </td>
                          <td className='px-3 text-right'>{formatMeasure(eventsPerSec)}</td>
                          <td className='px-3 text-right'>{formatCount(subscribers)}</td>
                          <td className='px-3 text-right whitespace-nowrap'>
                            {fanoutLatencyP95 === null ? '–' : formatDuration(fanoutLatencyP95)}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
                )}
        </Loaded>
      </div>
    </Section>
  )
}
