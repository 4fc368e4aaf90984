import type { RealtimeError } from '@realtime-platform/client'
import { clsx } from 'clsx'
import { Lock } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { ErrorNote } from './error-note.tsx'

/** Nothing is there yet: one sentence, the next step, and a snippet that works as it is. */
export function Empty ({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className='mx-auto grid max-w-xl justify-items-center gap-3 px-4 py-12 text-center'>
      <h2 className='text-lg font-semibold'>{title}</h2>
      {children !== undefined && <div className='w-full text-muted'>{children}</div>}
      {action}
    </div>
  )
}

/** A part of the page that could not be loaded. A refusal names the permission that is missing. */
export function ErrorState ({ error, onRetry }: { error: RealtimeError; onRetry?: () => void }) {
  if (error.status === 403) return <Refused message={error.message} />
  return (
    <div className='mx-auto grid w-full max-w-xl gap-3 px-4 py-8'>
      <ErrorNote error={error} />
      {onRetry !== undefined && (
        <Button onClick={onRetry} className='justify-self-start'>
          Try again
        </Button>
      )}
    </div>
  )
}

/** The user's roles do not cover this page. */
export function Refused ({ message }: { message: string }) {
  const permission = /Permission required: (\S+)/.exec(message)?.[1]
  return (
    <div role='alert' className='mx-auto grid max-w-xl justify-items-center gap-2 px-4 py-12 text-center'>
      <Lock size={20} className='text-muted' aria-hidden />
      <h2 className='text-lg font-semibold'>You may not see this</h2>
      {permission === undefined
        ? (
          <p className='text-muted'>{message}</p>
          )
        : (
          <p className='text-muted'>
            None of your roles has the permission <code className='font-mono text-text'>{permission}</code> here. An
            administrator can add it to one of your roles.
          </p>
          )}
    </div>
  )
}

/** Grey bars in place of text that is loading. They appear after 150 ms. */
export function Skeleton ({ className, lines = 1 }: { className?: string; lines?: number }) {
  return (
    <div className='late grid gap-2' role='status' aria-label='Loading'>
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} className={clsx('h-4 rounded-sm bg-hover', className)} />
      ))}
    </div>
  )
}

interface Query<Data> {
  data: Data | undefined
  error: RealtimeError | null
  refetch: () => unknown
}

/** Shows what a query has read, and its loading, error and refused states. Old data stays while it is read again. */
export function Loaded<Data> ({
  query,
  skeleton = <Skeleton lines={4} />,
  children
}: {
  query: Query<Data>
  skeleton?: ReactNode
  children: (data: Data) => ReactNode
}) {
  if (query.data !== undefined) return children(query.data)
  if (query.error !== null) {
    return (
      <ErrorState
        error={query.error}
        onRetry={() => {
          void query.refetch()
        }}
      />
    )
  }
  return skeleton
}
