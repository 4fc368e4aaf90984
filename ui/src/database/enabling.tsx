import type { RealtimeError } from '@realtime-platform/client'
import { unwrap } from '@realtime-platform/client/admin'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { apiFor, type Environment } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { get, invalidate } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Button, type ButtonKind } from '../components/button.tsx'
import { ConfirmDialog, Dialog } from '../components/dialog.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { showToast } from '../components/toast.tsx'
import { Problems, type Problem } from './builder/problems.tsx'

/** Enables a mapping in an environment, or disables it there. A refusal is shown with the statements that help. */
export function EnableButton ({
  mappingId,
  topic,
  environment,
  isActive,
  kind = 'normal'
}: {
  mappingId: string
  topic: string
  environment: Environment
  isActive: boolean
  kind?: ButtonKind
}) {
  const scope = { ...usePageScope(), environment }
  const may = useMay()
  const [isBusy, setBusy] = useState(false)
  const [isAsking, setAsking] = useState(false)
  const [failure, setFailure] = useState<RealtimeError | null>(null)
  const [problems, setProblems] = useState<readonly Problem[]>([])
  const subscriptions = useQuery(get(scope, '/api/database/subscriptions', { query: { mappingId } }))
  const subscription = subscriptions.data?.find(one => one.mappingId === mappingId)
  const api = apiFor(scope)
  const mayEnable = subscription === undefined ? may('mappings:create') : may('mappings:update')
  if (!(isActive ? may('mappings:update') : mayEnable)) return null

  async function run (work: () => Promise<readonly Problem[]>, done: string): Promise<void> {
    setBusy(true)
    try {
      setProblems(await work())
      showToast({ text: done })
    } catch (error) {
      setFailure(error as RealtimeError)
    } finally {
      setBusy(false)
      setAsking(false)
      await invalidate('/api/database')
    }
  }

  const path = { subscriptionId: subscription?.id ?? '' }
  const enable = () =>
    run(async () => {
      const answer =
        subscription === undefined
          ? await unwrap(api.POST('/api/database/subscriptions', { body: { mappingId } }))
          : await unwrap(api.POST('/api/database/subscriptions/{subscriptionId}/activate', { params: { path } }))
      return answer.problems
    }, `Mapping enabled in ${environment}`)
  const disable = () =>
    run(async () => {
      await unwrap(api.POST('/api/database/subscriptions/{subscriptionId}/deactivate', { params: { path } }))
      return []
    }, `Mapping disabled in ${environment}`)

  return (
    <>
      {isActive
        ? (
          <Button isBusy={isBusy} disabled={subscription === undefined} onClick={() => setAsking(true)}>
            Disable in {environment}
          </Button>
          )
        : (
          <Button
            kind={kind}
            isBusy={isBusy}
            disabled={subscriptions.isPending}
            onClick={() => {
              void enable()
            }}
          >
            Enable in {environment}
          </Button>
          )}
      <ConfirmDialog
        title={`Disable the mapping in ${environment}`}
        verb='Disable mapping'
        name={topic}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        isBusy={isBusy}
        onConfirm={() => {
          void disable()
        }}
      >
        Changes that commit from now on make no events of {topic}. Nothing that is stored changes.
      </ConfirmDialog>
      <Dialog
        title={`The mapping was not enabled in ${environment}`}
        isOpen={failure !== null}
        onClose={() => setFailure(null)}
      >
        {failure !== null && <ErrorNote error={failure} />}
      </Dialog>
      <Dialog
        title={`Enabled in ${environment}, with limits`}
        isOpen={problems.length > 0}
        onClose={() => setProblems([])}
      >
        <Problems problems={problems} topic={topic} />
      </Dialog>
    </>
  )
}
