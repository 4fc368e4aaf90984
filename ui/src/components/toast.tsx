import type { RealtimeError } from '@realtime-platform/client'
import { CircleAlert, CircleCheck, X } from 'lucide-react'
import { Observed, useObserved } from '../app/observed.ts'
import { CopyButton } from './code.tsx'

export interface Toast {
  text: string
  error?: RealtimeError
}

const toasts = new Observed<readonly (Toast & { id: number })[]>([])
let last = 0

/** Shows a sentence in the corner: what was done for five seconds, an error until it is closed. */
export function showToast (toast: Toast): void {
  const id = ++last
  toasts.set([...toasts.value.slice(-3), { ...toast, id }])
  if (toast.error === undefined) setTimeout(() => close(id), 5000)
}

const close = (id: number): void => toasts.set(toasts.value.filter(toast => toast.id !== id))

export function Toasts () {
  const shown = useObserved(toasts)
  return (
    <div aria-live='polite' className='fixed right-4 bottom-4 z-50 grid w-80 max-w-[calc(100vw-2rem)] gap-2'>
      {shown.map(({ id, text, error }) => (
        <div key={id} className='enter flex items-start gap-2 rounded border border-line bg-raised p-3 shadow-over'>
          {error === undefined
            ? (
              <CircleCheck size={16} className='mt-0.5 shrink-0 text-ok' aria-hidden />
              )
            : (
              <CircleAlert size={16} className='mt-0.5 shrink-0 text-critical' aria-hidden />
              )}
          <div className='min-w-0 flex-1 break-words'>
            {text}
            {error !== undefined && (
              <p className='flex flex-wrap items-center gap-x-2 font-mono text-xs text-muted'>
                {error.code}
                {error.requestId !== undefined && (
                  <span className='inline-flex items-center'>
                    {error.requestId}
                    <CopyButton text={error.requestId} label='Copy the request id' />
                  </span>
                )}
              </p>
            )}
          </div>
          <button type='button' aria-label='Close' className='text-muted hover:text-text' onClick={() => close(id)}>
            <X size={14} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  )
}
