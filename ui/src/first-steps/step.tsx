import { clsx } from 'clsx'
import { Check } from 'lucide-react'
import type { ReactNode } from 'react'

export type StepState = 'done' | 'current' | 'later'

/** A step of the path, with its number or a tick, and its result. */
export function Step ({
  number,
  title,
  state,
  children
}: {
  number: number
  title: string
  state: StepState
  children: ReactNode
}) {
  return (
    <li className='group flex gap-3' aria-current={state === 'current' ? 'step' : undefined}>
      <div className='flex flex-col items-center'>
        <span
          className={clsx(
            'grid size-7 shrink-0 place-items-center rounded-full border font-semibold',
            state === 'done' && 'border-transparent bg-ok-soft text-ok',
            state === 'current' && 'border-accent text-accent',
            state === 'later' && 'border-line text-muted'
          )}
        >
          {state === 'done' ? <Check size={15} aria-label={`Step ${number}, done`} /> : number}
        </span>
        <span className='mt-1 w-px flex-1 bg-line group-last:hidden' aria-hidden />
      </div>
      <div className='min-w-0 flex-1 pb-6'>
        <h2 className={clsx('flex min-h-7 items-center text-lg font-semibold', state === 'later' && 'text-muted')}>
          {title}
        </h2>
        <div className='mt-1'>{children}</div>
      </div>
    </li>
  )
}

/** The result of a step that is done. */
export const Result = ({ children }: { children: ReactNode }) => (
  <p className='flex flex-wrap items-center gap-x-2 gap-y-1' role='status'>
    {children}
  </p>
)
