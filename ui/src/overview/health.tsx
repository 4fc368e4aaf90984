import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useScopedLink } from '../app/scoped-link.ts'
import { Badge, type Tone } from '../components/badge.tsx'
import { formatCount } from '../components/number.ts'
import { Section } from '../components/page.tsx'
import { formatDuration } from '../components/time.tsx'
import type { Facts } from './problems.ts'

const connectionTones = { streaming: 'ok', connecting: 'warning', stopped: 'warning', error: 'critical' } as const

/** The health of the database connection and of the webhooks. */
export function Health ({
  facts: { connection, webhooks, deadCount },
  mayConnect
}: {
  facts: Facts
  mayConnect: boolean
}) {
  const link = useScopedLink()
  const active = webhooks?.filter(webhook => webhook.active) ?? []
  const failing = active.filter(({ failingSince }) => failingSince !== null).length
  const disabled = webhooks?.filter(({ deactivatedReason }) => deactivatedReason !== null).length ?? 0
  const state: [Tone, string] =
    disabled > 0
      ? ['critical', `${disabled} disabled`]
      : failing > 0
        ? ['warning', `${failing} failing`]
        : active.length > 0
          ? ['ok', 'delivering']
          : ['neutral', 'none']
  return (
    <Section title='Health' isPlain>
      {mayConnect && (
        <Row
          label={
            <Link {...link('/database')} className='font-medium hover:underline'>
              Database connection
            </Link>
          }
        >
          {connection === undefined
            ? (
              <Badge tone='neutral'>none</Badge>
              )
            : (
              <>
                {connection.lagMs !== null && (
                  <span className='text-muted'>lag {formatDuration(connection.lagMs)}</span>
                )}
                <Badge tone={connectionTones[connection.state]}>{connection.state}</Badge>
              </>
              )}
        </Row>
      )}
      {webhooks !== undefined && (
        <Row
          label={
            <Link {...link('/webhooks')} className='font-medium hover:underline'>
              Webhooks
            </Link>
          }
        >
          <span className='text-muted'>{active.length} active</span>
          <Badge tone={state[0]}>{state[1]}</Badge>
        </Row>
      )}
      {deadCount !== undefined && (
        <Row
          label={
            <Link {...link('/deliveries', { search: { state: 'dead' } })} className='font-medium hover:underline'>
              Dead deliveries
            </Link>
          }
        >
          <Badge tone={deadCount === 0 ? 'ok' : 'critical'}>{formatCount(deadCount)}</Badge>
        </Row>
      )}
    </Section>
  )
}

const Row = ({ label, children }: { label: ReactNode; children: ReactNode }) => (
  <div className='flex min-h-9 items-center justify-between gap-3 border-b border-line/60 px-3 py-1 last:border-0'>
    {label}
    <span className='flex items-center gap-2'>{children}</span>
  </div>
)
