import { useQuery } from '@tanstack/react-query'
import { useGlobal } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Code } from '../components/code.tsx'
import { formatBytes, formatCount } from '../components/number.ts'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { ErrorState, Loaded } from '../components/states.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { componentName, componentTones, useReadiness, type ComponentState } from './readiness.ts'

/** Readiness, component by component, and the node that answers. */
export function Nodes () {
  return (
    <div className='grid items-start gap-4 lg:grid-cols-2'>
      <Components />
      <Node />
    </div>
  )
}

function Components () {
  const readiness = useReadiness()
  return (
    <Section
      title='Readiness'
      isPlain
      actions={
        readiness.data !== undefined && (
          <Badge tone={readiness.data.status === 'ready' ? 'ok' : 'critical'}>{readiness.data.status}</Badge>
        )
      }
    >
      {readiness.data === undefined && readiness.error !== null
        ? (
          <ErrorState
            error={readiness.error}
            onRetry={() => {
              void readiness.refetch()
            }}
          />
          )
        : (
          <ul className='min-h-48'>
            {Object.entries(readiness.data?.components ?? {}).map(([name, state]) => (
              <li
                key={name}
                className='grid min-h-8 grid-cols-[minmax(8rem,auto)_minmax(0,1fr)_auto] items-center gap-x-3 border-b
                  border-line/60 px-3 py-1 last:border-0'
              >
                <span className='font-medium'>{componentName(name)}</span>
                <span className='text-right text-xs text-muted'>{factsOf(state)}</span>
                <span className='min-w-16 text-right'>
                  <Badge tone={componentTones[state.status]}>{state.status}</Badge>
                </span>
                {state.message !== undefined && <p className='col-span-full text-xs text-muted'>{state.message}</p>}
              </li>
            ))}
          </ul>
          )}
    </Section>
  )
}

const factsOf = ({ heartbeatAgeMs, oldestWaitingMs, depth }: ComponentState): string =>
  [
    depth !== undefined && depth > 0 && `${formatCount(depth)} waiting`,
    oldestWaitingMs !== undefined && oldestWaitingMs > 0 && `oldest ${formatDuration(oldestWaitingMs)}`,
    heartbeatAgeMs !== undefined && `seen ${formatDuration(heartbeatAgeMs)} ago`
  ]
    .filter(Boolean)
    .join(' · ')

function Node () {
  const health = useGlobal('/health', undefined, { refetchInterval: 10_000 })
  const gauges = useGauges()
  const value = (name: string) => gauges.data?.get(name)
  const nodes = value('realtime_cluster_nodes')
  const started = value('process_start_time_seconds')
  const memory = value('process_resident_memory_bytes')
  const delay = value('nodejs_eventloop_lag_p99_seconds')
  return (
    <Section
      title='This node'
      actions={
        <span className='flex gap-3'>
          <a href='/api/metrics/prometheus' target='_blank' rel='noreferrer' className='text-accent hover:underline'>
            Prometheus metrics
          </a>
          <a href='/docs/METRICS.md' target='_blank' rel='noreferrer' className='text-accent hover:underline'>
            What they mean
          </a>
        </span>
      }
    >
      <Loaded query={health}>
        {({ node, version }) => (
          <Properties
            items={[
              [
                'Node',
                <Code key='node' isCopyable>
                  {node}
                </Code>
              ],
              ['Version', version],
              started !== undefined && ['Started', <Time key='started' at={started * 1000} />],
              nodes !== undefined && ['Nodes in the cluster', nodes <= 1 ? 'this one only' : formatCount(nodes)],
              memory !== undefined && ['Memory', formatBytes(memory)],
              delay !== undefined && ['Event loop delay, p99', formatDuration(delay * 1000)]
            ]}
          />
        )}
      </Loaded>
    </Section>
  )
}

/** Reads the gauges without labels from the metrics for Prometheus. They are public; topic names are not among them. */
const useGauges = () =>
  useQuery({
    queryKey: ['/api/metrics/prometheus'],
    queryFn: async ({ signal }) => {
      const text = await (await fetch('/api/metrics/prometheus', { signal })).text()
      return new Map(
        [...text.matchAll(/^([a-z_0-9]+) ([0-9.e+-]+)$/gm)].map(([, name = '', value]) => [name, Number(value)])
      )
    },
    refetchInterval: 10_000
  })
