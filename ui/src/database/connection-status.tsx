import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { Badge, type Tone } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { formatBytes } from '../components/number.ts'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Stat } from '../components/stat.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { Checks, Sql } from './checks.tsx'
import { Disconnect } from './disconnect.tsx'
import { LagChart } from './lag-chart.tsx'
import { scopeLink } from './links.ts'
import { MappingsSummary } from './mappings-summary.tsx'
import { connectionRoute } from './routes.ts'

export type Connection = DataOf<'/api/database/connection'>

const tones: Record<Connection['state'], Tone> = {
  streaming: 'ok',
  connecting: 'info',
  stopped: 'neutral',
  error: 'critical'
}

/** The reader of the connected database: its state, its lag, and the WAL that its slot holds. */
export function ConnectionStatus ({ connection }: { connection: Connection }) {
  const { state, since, error, lsn, lagMs, lagBytes, retainedWalBytes, decodingSince, leftovers } = connection
  const navigate = useNavigate({ from: connectionRoute.fullPath })
  const may = useMay()
  const [isLeaving, setLeaving] = useState(false)
  const test = useAction(api => api.POST('/api/database/connection/test', { body: {} }))
  return (
    <div className='grid gap-4'>
      {error !== null && (
        <div role='alert' className='rounded border border-critical/40 bg-critical-soft px-3 py-2'>
          <p>{error.message}</p>
          <p className='font-mono text-xs text-muted'>
            {error.code} · <Time at={error.at} />
          </p>
        </div>
      )}
      <div className='grid grid-cols-2 gap-3 lg:grid-cols-4'>
        <div className='grid content-start gap-1 rounded border border-line bg-surface p-3'>
          <p className='text-muted'>State</p>
          <p>
            <Badge tone={tones[state]}>{state}</Badge>
          </p>
          <p className='text-xs text-muted'>
            since <Time at={since} />
          </p>
        </div>
        <Stat name='Lag' value={lagMs === null ? '–' : lagMs === 0 ? '0 ms' : formatDuration(lagMs)}>
          <p className='text-xs text-muted'>{lagMs === null ? 'not streaming' : 'oldest change not stored yet'}</p>
        </Stat>
        <Stat name='WAL to read' value={lagBytes === null ? '–' : formatBytes(lagBytes)}>
          <p className='text-xs text-muted'>after the acknowledged LSN</p>
        </Stat>
        <Stat
          name='WAL held by the slot'
          value={retainedWalBytes === null ? '–' : formatBytes(retainedWalBytes)}
          {...(retainedWalBytes !== null && retainedWalBytes > 1024 ** 3 && { tone: 'warning' as const })}
        >
          <p className='text-xs text-muted'>that the database cannot remove</p>
        </Stat>
      </div>
      <div className='grid gap-4 lg:grid-cols-2'>
        <Section
          title='Connection'
          actions={
            <div className='flex flex-wrap items-center gap-1'>
              <CopyAs request={{ method: 'GET', path: '/api/database/connection' }} />
              {may('mappings:update') && (
                <>
                  <Button kind='plain' isBusy={test.isPending} onClick={() => test.mutate(undefined)}>
                    Test
                  </Button>
                  <Button
                    kind='plain'
                    onClick={() => {
                      void navigate({ search: { change: true } })
                    }}
                  >
                    Change
                  </Button>
                </>
              )}
              {may('mappings:delete') && (
                <Button kind='danger' onClick={() => setLeaving(true)}>
                  Disconnect
                </Button>
              )}
            </div>
          }
        >
          <Properties
            items={[
              [
                'Database',
                <Code key='d' isCopyable>
                  {connection.connectionString}
                </Code>
              ],
              [
                'Password',
                <span key='p' className='text-muted'>
                  stored encrypted, never shown
                </span>
              ],
              [
                'Reader',
                connection.readerNode === null
                  ? (
                    <span key='n' className='text-muted'>
                      no node reads it now
                    </span>
                    )
                  : (
                    <Code key='n' isCopyable>
                      {connection.readerNode}
                    </Code>
                    )
              ],
              [
                'Publication',
                <Code key='b' isCopyable>
                  {connection.publication}
                </Code>
              ],
              [
                'Slot',
                <Code key='s' isCopyable>
                  {connection.slot}
                </Code>
              ],
              decodingSince !== null && [
                'Decoding',
                <span key='o'>
                  a large transaction, since <Time at={decodingSince} />
                </span>
              ],
              ['Connected', <Time key='c' at={connection.createdAt} />]
            ]}
          />
        </Section>
        <Section title='Position in the WAL'>
          <Properties
            items={[
              ['Server', <Lsn key='s' value={lsn.server} />],
              ['Received', <Lsn key='r' value={lsn.received} />],
              ['Stored', <Lsn key='t' value={lsn.stored} />],
              ['Acknowledged', <Lsn key='a' value={lsn.confirmed} />]
            ]}
          />
          <div className='mt-4 border-t border-line pt-3'>
            <MappingsSummary />
          </div>
        </Section>
      </div>
      {test.data !== undefined && (
        <Section
          title='Preconditions'
          actions={
            <Button kind='plain' onClick={() => test.reset()}>
              Close
            </Button>
          }
        >
          <Checks label='Preconditions' checks={test.data.checks} />
        </Section>
      )}
      {leftovers.length > 0 && (
        <Section title='Left behind by earlier connections'>
          <ul className='grid gap-3'>
            {leftovers.map(({ name, message, sql }, i) => (
              <li key={i} className='grid gap-1'>
                <p>
                  <span className='font-medium'>{name}</span> {message}
                </p>
                {sql !== undefined && <Sql text={sql} />}
              </li>
            ))}
          </ul>
        </Section>
      )}
      {may('metrics:read') && <LagChart />}
      <p className='text-muted'>
        Next:{' '}
        <Link {...scopeLink('/database/tables')} className='text-accent underline'>
          look at the tables
        </Link>
        , or{' '}
        <Link {...scopeLink('/database/mappings/new')} className='text-accent underline'>
          build a mapping
        </Link>
        .
      </p>
      <Disconnect connection={connection} isOpen={isLeaving} onClose={() => setLeaving(false)} />
    </div>
  )
}

const Lsn = ({ value }: { value: string | null }) =>
  value === null ? <span className='text-muted'>–</span> : <Code isCopyable>{value}</Code>
