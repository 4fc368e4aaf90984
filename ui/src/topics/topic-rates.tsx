import { useEffect, useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { formatMeasure } from '../components/number.ts'
import { Sparkline } from '../components/stat.tsx'

export type HotTopic = DataOf<'/api/metrics/hot-topics'>[number]

/** Returns the live figures of the busiest topics, by name. Topics without recent events are not among them. */
export function useHotTopics (): ReadonlyMap<string, HotTopic> {
  const may = useMay()
  const { data = [] } = useGet(
    '/api/metrics/hot-topics',
    { query: { limit: 100 } },
    { enabled: may('metrics:read'), refetchInterval: 5000 }
  )
  return new Map(data.map(hot => [hot.topic, hot]))
}

type Metric = 'eventsInPerSec' | 'eventsOutPerSec'

const none = <span className='text-muted'>–</span>

/** The rate of events that were written to a topic: an average of ten seconds. */
export const RateIn = ({ hot }: { hot: HotTopic | undefined }) =>
  hot === undefined ? none : <>{formatMeasure(hot.eventsPerSec)}/s</>

/** The rate of events that were sent to subscribers, in the last full minute. */
export function RateOut ({ topic }: { topic: string }) {
  const points = useSeries(topic, 'eventsOutPerSec')
  const last = points?.at(-1)
  return last === null || last === undefined ? none : <>{formatMeasure(last)}/s</>
}

/** The rate of the last hour, by the minute. */
export function RateLine ({ topic }: { topic: string }) {
  const points = useSeries(topic, 'eventsInPerSec')
  if (points === undefined || !points.some(value => value !== null && value > 0)) return none
  return <Sparkline values={points} label={`Events in of ${topic} during the last hour`} className='h-5!' />
}

/** A list asks for its series only for rows that stay in sight. */
function useSeries (topic: string, metric: Metric): (number | null)[] | undefined {
  const may = useMay()
  const hasStayed = useHasStayed()
  const { data } = useGet(
    '/api/metrics/series',
    { query: { metric, topic, step: 60 } },
    {
      enabled: hasStayed && may('metrics:read'),
      staleTime: 30_000,
      refetchInterval: 60_000
    }
  )
  return data?.points.map(([, value]) => value ?? null)
}

function useHasStayed (): boolean {
  const [hasStayed, setStayed] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setStayed(true), 200)
    return () => clearTimeout(timer)
  }, [])
  return hasStayed
}
