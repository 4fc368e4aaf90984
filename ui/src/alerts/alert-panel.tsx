import { Link } from '@tanstack/react-router'
import { ArrowRight, BookOpen, Check } from 'lucide-react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { usePageScope } from '../app/scope.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DetailPanel } from '../components/detail-panel.tsx'
import { Person } from '../components/person.tsx'
import { Properties } from '../components/properties.tsx'
import { Empty, Skeleton } from '../components/states.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { causesOf, formatAmount, severityTones, targetWords, wordsOf, type Alert } from './words.ts'

/** The details of an alert: the facts, the pages of its cause, and who takes care of it. */
export function AlertPanel ({ alert, onClose }: { alert: Alert | null | undefined; onClose: () => void }) {
  return (
    <DetailPanel
      title={alert === null || alert === undefined ? 'Alert' : wordsOf(alert.rule)}
      onClose={onClose}
      actions={alert !== null && alert !== undefined && <Acknowledge alert={alert} />}
    >
      {alert === undefined && <Skeleton lines={5} />}
      {alert === null && (
        <Empty title='There is no such alert in this environment'>
          It may have been kept for long enough, or belong to another environment.
        </Empty>
      )}
      {alert !== null && alert !== undefined && <Facts alert={alert} />}
    </DetailPanel>
  )
}

function Acknowledge ({ alert: { id, status, acknowledgedAt } }: { alert: Alert }) {
  const may = useMay()
  const acknowledge = useAction(api => api.POST('/api/alerts/{id}/acknowledge', { params: { path: { id } } }), {
    invalidates: ['/api/alerts'],
    done: 'Alert acknowledged'
  })
  if (status !== 'firing' || acknowledgedAt !== null || !may('alerts:update')) return null
  return (
    <>
      <CopyAs request={{ method: 'POST', path: '/api/alerts/{id}/acknowledge', params: { id } }} />
      <Button
        kind='primary'
        icon={<Check size={14} aria-hidden />}
        isBusy={acknowledge.isPending}
        onClick={() => acknowledge.mutate(undefined)}
      >
        Acknowledge
      </Button>
    </>
  )
}

function Facts ({ alert }: { alert: Alert }) {
  const { summary, severity, status, details, startedAt, resolvedAt, resolution } = alert
  const { acknowledgedAt, acknowledgedBy } = alert
  const { target, value, threshold, unit, code, state, since, runbook } = details
  const link = useScopedLink()
  const { applicationId } = usePageScope()
  const isFiring = status === 'firing'
  return (
    <div className='grid gap-4'>
      <div className='grid gap-2'>
        <div className='flex flex-wrap gap-1.5'>
          <Badge tone={severityTones[severity]}>{severity}</Badge>
          <Badge tone={isFiring ? severityTones[severity] : 'ok'}>{isFiring ? 'firing' : 'resolved'}</Badge>
        </div>
        <p className='text-base font-medium break-words'>{summary}</p>
      </div>
      <div className='flex flex-wrap gap-2'>
        {causesOf(alert, link, applicationId).map(({ label, link }, i) => (
          <Link key={label} {...link} className={buttonLook(i === 0 ? 'normal' : 'plain')}>
            {label}
            <ArrowRight size={14} aria-hidden />
          </Link>
        ))}
        <a href={runbook} target='_blank' rel='noreferrer' className={buttonLook('plain')}>
          <BookOpen size={14} aria-hidden />
          What to do
        </a>
      </div>
      <Properties
        items={[
          [
            targetWords[target.type],
            <Code key='target' isCopyable>
              {target.id}
            </Code>
          ],
          value !== null && [
            'Value',
            `${formatAmount(value, unit)}${threshold === null ? '' : `, threshold ${formatAmount(threshold, unit)}`}`
          ],
          code !== undefined && [
            'Error code',
            <Code key='code' isCopyable>
              {code}
            </Code>
          ],
          state !== undefined && ['State', state],
          since !== undefined && ['Last worked', <Time key='since' at={since} />],
          ['Fired', <Time key='fired' at={startedAt} />],
          resolvedAt !== null && ['Resolved', <Time key='resolved' at={resolvedAt} />],
          [isFiring ? 'Firing for' : 'Lasted', formatDuration((resolvedAt ?? Date.now()) - startedAt)],
          resolution !== null && [
            'Resolution',
            resolution === 'cleared' ? 'The condition no longer holds' : 'The rule was disabled'
          ],
          [
            'Acknowledged',
            acknowledgedAt === null
              ? (
                  isFiring
                    ? (
                        'Not yet'
                      )
                    : (
                        'Never'
                      )
                )
              : (
                <span key='acknowledged'>
                  by <Person id={acknowledgedBy} />, <Time at={acknowledgedAt} />
                </span>
                )
          ],
          [
            'ID',
            <Code key='id' isCopyable>
              {alert.id}
            </Code>
          ]
        ]}
      />
    </div>
  )
}
