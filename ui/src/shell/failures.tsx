import { RealtimeError } from '@realtime-platform/client'
import { Link, useRouter, type ErrorComponentProps } from '@tanstack/react-router'
import { Empty, ErrorState } from '../components/states.tsx'

export const NotFound = () => (
  <Empty
    title='There is no such page'
    action={
      <Link to='/' className='text-accent underline'>
        Go to the overview
      </Link>
    }
  >
    The link may be mistyped, or from another version of the console.
  </Empty>
)

/** A page that could not be shown. The rest of the console goes on. */
export function PageFailure ({ error, reset }: ErrorComponentProps) {
  const router = useRouter()
  const shown =
    error instanceof RealtimeError
      ? error
      : new RealtimeError(
        'CONSOLE_ERROR',
          `The page failed: ${error instanceof Error ? error.message : String(error)}`
      )
  return (
    <ErrorState
      error={shown}
      onRetry={() => {
        reset()
        void router.invalidate()
      }}
    />
  )
}
