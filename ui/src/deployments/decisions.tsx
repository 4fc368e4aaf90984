import type { RealtimeError } from '@realtime-platform/client'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay, useMe } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Checks } from './checks.tsx'
import { RejectDialog } from './reject-dialog.tsx'
import { checksOf, isPending, type Deployment } from './words.ts'

/** Approve, reject, apply, roll back: what the user may do now, and why something is not offered. */
export function Decisions ({ deployment }: { deployment: Deployment }) {
  const me = useMe()
  const may = useMay()
  const [open, setOpen] = useState<'reject' | 'apply' | 'rollback' | null>(null)
  const { id, status, createdBy, approvals, digest } = deployment
  const isRequired = useApprovalRequired(deployment)
  const approve = useAction(
    api =>
      api.POST('/api/deployments/{id}/approve', {
        params: { path: { id }, query: digest === undefined ? {} : { digest } }
      }),
    { invalidates: ['/api/deployments'], done: 'Deployment approved' }
  )
  if (!may('deployments:update')) return null
  const isAuthor = me?.user?.id === createdBy
  const hasApproved = approvals.some(({ userId, valid }) => valid && userId === me?.user?.id)
  const close = () => setOpen(null)
  return (
    <>
      {isPending(status) && isAuthor && isRequired && (
        <span className='text-muted'>You created it, so somebody else has to approve it.</span>
      )}
      {isPending(status) && !isAuthor && !hasApproved && (
        <Button isBusy={approve.isPending} onClick={() => approve.mutate(undefined)}>
          Approve
        </Button>
      )}
      {isPending(status) && (
        <>
          <Button onClick={() => setOpen('reject')}>{isAuthor ? 'Withdraw' : 'Reject'}</Button>
          <CopyAs request={{ method: 'POST', path: '/api/deployments/{id}/apply', params: { id } }} />
          <Button kind='primary' onClick={() => setOpen('apply')}>
            Apply
          </Button>
        </>
      )}
      {status === 'applied' && (
        <>
          <CopyAs request={{ method: 'POST', path: '/api/deployments/{id}/rollback', params: { id } }} />
          <Button kind='danger' onClick={() => setOpen('rollback')}>
            Roll back
          </Button>
        </>
      )}
      <RejectDialog id={id} isAuthor={isAuthor} isOpen={open === 'reject'} onClose={close} />
      {(open === 'apply' || open === 'rollback') && (
        <ChangeDialog deployment={deployment} change={open} onClose={close} />
      )}
    </>
  )
}

/** Returns whether the application lets only approved deployments into the target. */
function useApprovalRequired ({ applicationId, target }: Deployment): boolean {
  const application = useGlobal('/api/applications/{id}', { path: { id: applicationId } }, { staleTime: 60_000 })
  const required = application.data?.requireApproval
  return target !== 'development' && required?.[target] === true
}

const words = {
  apply: { verb: 'Apply', done: 'Deployment applied' },
  rollback: { verb: 'Roll back', done: 'Deployment rolled back' }
} as const

/** Asks before the target changes, and shows the checks that refuse it. */
function ChangeDialog ({
  deployment,
  change,
  onClose
}: {
  deployment: Deployment
  change: 'apply' | 'rollback'
  onClose: () => void
}) {
  const { id, title, target, items, listeners } = deployment
  const { verb, done } = words[change]
  const send = useAction(api => api.POST(`/api/deployments/{id}/${change}`, { params: { path: { id } } }), {
    invalidates: ['/api'],
    isErrorShown: true,
    done,
    onDone: onClose
  })
  const failing = checksOf(deployment).filter(({ ok }) => !ok)
  const subscriptions = listeners.reduce((sum, one) => sum + one.subscriptions, 0)
  const webhooks = listeners.reduce((sum, one) => sum + one.webhooks, 0)
  return (
    <ConfirmDialog
      title={`${verb} “${title}”?`}
      isOpen
      onClose={onClose}
      onConfirm={() => send.mutate(undefined)}
      verb={`${verb} in ${target}`}
      name={title}
      isProduction={target === 'production'}
      isBusy={send.isPending}
    >
      <div className='grid gap-3'>
        <p>
          {change === 'apply'
            ? `It changes ${items.length} ${items.length === 1 ? 'item' : 'items'} in ${target}, all or none.`
            : `It returns ${target} to the state before, all or none.`}{' '}
          {subscriptions} live {subscriptions === 1 ? 'subscription' : 'subscriptions'} and {webhooks}{' '}
          {webhooks === 1 ? 'webhook' : 'webhooks'} receive the affected topics.
        </p>
        {send.error === null
          ? (
              failing.length > 0 && (
                <>
                  <p className='text-text'>These checks fail now, so it will be refused:</p>
                  <Checks checks={failing} />
                </>
              )
            )
          : (
            <Refusal error={send.error} />
            )}
      </div>
    </ConfirmDialog>
  )
}

function Refusal ({ error }: { error: RealtimeError }) {
  const details = error.code === 'DEPLOYMENT_NOT_READY' ? (error.details ?? []) : []
  return (
    <>
      <ErrorNote error={error} hidden={details.map(({ path = '' }) => firstPart(path))} />
      <Checks
        checks={details.map(detail => ({
          name: textOf(detail, 'name') ?? 'check',
          ok: false,
          message: detail.message ?? '',
          sql: textOf(detail, 'sql')
        }))}
      />
    </>
  )
}

const firstPart = (path: string): string => path.split(/[/.]/).find(part => part !== '' && part !== 'body') ?? ''

const textOf = (detail: object, name: string): string | undefined => {
  const value: unknown = Object.entries(detail).find(([key]) => key === name)?.[1]
  return typeof value === 'string' ? value : undefined
}
