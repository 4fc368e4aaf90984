import type { ReactNode } from 'react'
import { Button, type ButtonKind } from './button.tsx'
import type { DelayedForm } from './delayed-form.ts'

/** The button of a form. While the server makes the reader wait, it counts down. */
export function SendButton<Values> ({
  form,
  kind = 'primary',
  children
}: {
  form: DelayedForm<Values>
  kind?: ButtonKind
  children: ReactNode
}) {
  const { waitS, isBusy } = form
  return (
    <>
      <Button kind={kind} type='submit' isBusy={isBusy} disabled={waitS > 0}>
        {waitS > 0 ? `Try again in ${toClock(waitS)}` : children}
      </Button>
      {waitS > 0 && (
        <p className='text-xs text-muted'>
          After several wrong attempts, the platform waits longer before each next one. Waiting is all you need to do.
        </p>
      )}
    </>
  )
}

const toClock = (seconds: number): string =>
  seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`
