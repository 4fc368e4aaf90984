import type { RealtimeError } from '@realtime-platform/client'
import { CircleAlert } from 'lucide-react'
import { CopyButton } from './code.tsx'

/** A refusal: a sentence, the details, the code and the request id to copy. */
export function ErrorNote ({ error, hidden = [] }: { error: RealtimeError; hidden?: readonly string[] }) {
  const details = (error.details ?? []).filter(
    ({ path = '' }) => !hidden.includes(path.split(/[/.]/).find(part => part !== '' && part !== 'body') ?? '')
  )
  return (
    <div role='alert' className='rounded border border-critical/40 bg-critical-soft px-3 py-2 text-text'>
      <p className='flex items-start gap-2'>
        <CircleAlert size={16} className='mt-0.5 shrink-0 text-critical' aria-hidden />
        <span className='min-w-0 break-words'>{error.message}</span>
      </p>
      {details.length > 0 && (
        <ul className='mt-1 ml-6 list-disc pl-3'>
          {details.map(({ path = '', message = '' }, i) => (
            <li key={i} className='break-words'>
              <code className='font-mono text-xs'>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      <p className='mt-1 ml-6 flex flex-wrap items-center gap-x-3 font-mono text-xs text-muted'>
        <span>{error.code}</span>
        {error.status !== undefined && <span>{error.status}</span>}
        {error.requestId !== undefined && (
          <span className='inline-flex items-center'>
            {error.requestId}
            <CopyButton text={error.requestId} label='Copy the request id' />
          </span>
        )}
      </p>
    </div>
  )
}
