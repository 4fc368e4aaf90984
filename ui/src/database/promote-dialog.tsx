import { unwrap } from '@realtime-platform/client/admin'
import { useQuery } from '@tanstack/react-query'
import { apiFor, scopeKey, type Environment } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Loaded } from '../components/states.tsx'
import { Checks } from './checks.tsx'
import type { Status } from './promotion-strip.tsx'

/** Shows what a promotion would change and what its target lacks, then promotes. */
export function PromoteDialog ({
  status,
  from,
  to,
  onClose
}: {
  status: Status
  from: Environment
  to: Environment
  onClose: () => void
}) {
  const { id, topic } = status
  const scope = { ...usePageScope(), environment: from }
  const path = { id }
  const dryRun = useQuery({
    queryKey: ['/api/database/mappings/{id}/promote', scopeKey(scope), id, from],
    staleTime: 0,
    queryFn: () =>
      unwrap(
        apiFor(scope).POST('/api/database/mappings/{id}/promote', {
          params: { path, query: { dryRun: true } },
          body: { environment: from }
        })
      )
  })
  const snapshot = useAction(
    api => api.POST('/api/database/mappings/{id}/versions', { params: { path }, body: { environment: from } }),
    { invalidates: ['/api/database/mappings'], done: ({ version }) => `Version ${version} saved`, scope }
  )
  const promote = useAction(
    (api, expectedVersion: number) =>
      api.POST('/api/database/mappings/{id}/promote', {
        params: { path },
        body: { environment: from, expectedVersion }
      }),
    {
      invalidates: ['/api/database/mappings'],
      done: ({ version }) => `Version ${version} promoted to ${to}`,
      isErrorShown: true,
      onDone: onClose,
      scope
    }
  )
  const isEdited = from === status.environment && status.changed && status.environments[from]?.version != null
  return (
    <Dialog title={`Promote ${topic} to ${to}`} isOpen onClose={onClose} width='max-w-2xl'>
      <div className='grid gap-4'>
        {isEdited && (
          <div
            className='flex flex-wrap items-center justify-between gap-2 rounded border border-line bg-warning-soft
            px-3 py-2'
          >
            <p>The working copy has changes that the latest version does not have. They are not promoted.</p>
            <Button isBusy={snapshot.isPending} onClick={() => snapshot.mutate(undefined)}>
              Save as a version first
            </Button>
          </div>
        )}
        <Loaded query={dryRun}>
          {({ version, previousVersion, diff, checks }) => (
            <>
              <p>
                {to}{' '}
                {previousVersion === null
                  ? 'does not have this mapping yet. It gets'
                  : `runs version ${previousVersion}. It gets`}{' '}
                <strong>version {version}</strong>
                {diff.length === 0 ? ', which is the same.' : '.'}
                {status.environments[to]?.active !== true && ` It stays disabled until you enable it in ${to}.`}
              </p>
              {diff.length > 0 && (
                <JsonDiff label='Differences' before={fieldsOf(diff, 'from')} after={fieldsOf(diff, 'to')} />
              )}
              <Checks label='Checks' checks={checks} />
              {promote.error !== null && (
                <>
                  <ErrorNote error={promote.error} />
                  {promote.error.status === 409 && (
                    <p className='text-muted'>
                      {to} has changed since the differences were read.{' '}
                      <button
                        type='button'
                        className='text-accent underline'
                        onClick={() => {
                          promote.reset()
                          void dryRun.refetch()
                        }}
                      >
                        Compare again
                      </button>
                    </p>
                  )}
                </>
              )}
              <Buttons>
                <CopyAs
                  request={{
                    method: 'POST',
                    path: '/api/database/mappings/{id}/promote',
                    params: path,
                    body: { environment: from, expectedVersion: previousVersion ?? 0 }
                  }}
                />
                <Button onClick={onClose}>Cancel</Button>
                <Button
                  kind={to === 'production' ? 'danger' : 'primary'}
                  isBusy={promote.isPending}
                  onClick={() => promote.mutate(previousVersion ?? 0)}
                >
                  Promote version {version} to {to}
                </Button>
              </Buttons>
            </>
          )}
        </Loaded>
      </div>
    </Dialog>
  )
}

/** One side of the differences, as an object of the fields. */
const fieldsOf = (
  diff: readonly { path: string; from?: unknown; to?: unknown }[],
  side: 'from' | 'to'
): Record<string, unknown> | undefined => {
  const given = diff.filter(change => side in change)
  return given.length === 0
    ? undefined
    : Object.fromEntries(given.map(change => [change.path.slice(1), change[side]]))
}
