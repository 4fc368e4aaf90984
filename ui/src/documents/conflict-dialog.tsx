import type { RealtimeError } from '@realtime-platform/client'
import { useMemo, useState } from 'react'
import { Button } from '../components/button.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Skeleton } from '../components/states.tsx'
import { showToast } from '../components/toast.tsx'
import { mergeChanges, toText, type Data } from './data.ts'
import { toRealtimeError } from './to-realtime-error.ts'

/** Shows both sides of a conflict: what they and I have changed since the revision that the edit began with. */
export function ConflictDialog ({
  base,
  theirs,
  mine,
  isKnown,
  onClose,
  onSave,
  onEdit
}: {
  base: { revision: number; data: Data }
  /** Without data, the document was deleted. */
  theirs: { revision: number; data: Data | undefined }
  mine: Data
  /** Whether the other revision has arrived. */
  isKnown: boolean
  onClose: () => void
  onSave: (data: Data) => Promise<void>
  onEdit: (data: Data) => void
}) {
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<RealtimeError>()
  const merge = useMemo(
    () => (theirs.data === undefined ? { data: mine, conflicts: [] } : mergeChanges(base.data, theirs.data, mine)),
    [base, theirs.data, mine]
  )
  const isDeleted = theirs.data === undefined
  const save = async () => {
    setBusy(true)
    setFailure(undefined)
    try {
      await onSave(merge.data)
    } catch (error) {
      setFailure(toRealtimeError(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog title='The document has changed' isOpen onClose={onClose} width='max-w-5xl'>
      {!isKnown
        ? (
          <Skeleton lines={6} />
          )
        : (
          <div className='grid gap-4'>
            <p className='text-muted'>
              {isDeleted
                ? `You edit revision ${base.revision}. Somebody deleted the document since.`
                : `You edit revision ${base.revision}. Somebody wrote revision ${theirs.revision} since. ` +
                'Both sides are shown with their changes of the revision that you began with.'}
            </p>
            <div className='grid gap-4 md:grid-cols-2'>
              <div className='min-w-0'>
                <h3 className='mb-1 font-medium'>Theirs, revision {theirs.revision}</h3>
                {isDeleted
                  ? (
                    <p className='text-muted'>The document was deleted.</p>
                    )
                  : (
                    <JsonDiff before={base.data} after={theirs.data} label='Their changes' />
                    )}
              </div>
              <div className='min-w-0'>
                <h3 className='mb-1 font-medium'>Yours, not saved</h3>
                <JsonDiff before={base.data} after={mine} label='Your changes' />
              </div>
            </div>
            {!isDeleted && (
              <div className='min-w-0'>
                <h3 className='mb-1 font-medium'>Yours on top of theirs</h3>
                {merge.conflicts.length > 0 && (
                  <p className='mb-1 text-warning'>
                    Both changed{' '}
                    {merge.conflicts.slice(0, 10).map((path, i) => (
                      <span key={path}>
                        {i > 0 && ', '}
                        <code className='font-mono text-xs'>{path}</code>
                      </span>
                    ))}
                    . Yours replaces theirs there.
                  </p>
                )}
                <JsonDiff before={theirs.data} after={merge.data} label='The result, compared with theirs' />
              </div>
            )}
            {failure !== undefined && <ErrorNote error={failure} />}
            <Buttons>
              <Button
                onClick={() => {
                  void navigator.clipboard.writeText(toText(mine)).then(() => showToast({ text: 'Copied your text' }))
                }}
              >
                Copy mine
              </Button>
              {!isDeleted && (
                <>
                  <Button onClick={() => onEdit(theirs.data ?? {})}>Take theirs</Button>
                  <Button onClick={() => onEdit(merge.data)}>Edit the result</Button>
                </>
              )}
              <Button
                kind='primary'
                isBusy={isBusy}
                onClick={() => {
                  void save()
                }}
              >
                {isDeleted ? 'Create it again with mine' : 'Keep mine on top of theirs'}
              </Button>
            </Buttons>
          </div>
          )}
    </Dialog>
  )
}
