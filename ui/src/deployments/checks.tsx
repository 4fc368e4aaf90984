import { CircleCheck, CircleX } from 'lucide-react'
import { CodeBlock } from '../components/code.tsx'

interface ShownCheck {
  name: string
  ok: boolean
  message: string
  sql?: string | undefined
}

/** Checks, the failing ones first, with the SQL that mends them. */
export function Checks ({ checks }: { checks: readonly ShownCheck[] }) {
  const sorted = [...checks].sort((a, b) => Number(a.ok) - Number(b.ok))
  return (
    <ul className='grid gap-1.5'>
      {sorted.map(({ name, ok, message, sql }, i) => (
        <li key={i} className='grid gap-1'>
          <span className='flex items-start gap-2'>
            {ok
              ? (
                <CircleCheck size={15} className='mt-0.5 shrink-0 text-ok' aria-label='Passes' role='img' />
                )
              : (
                <CircleX size={15} className='mt-0.5 shrink-0 text-critical' aria-label='Fails' role='img' />
                )}
            <span className='min-w-0 break-words'>
              <span className='mr-1.5 font-medium'>{name}</span>
              <span className={ok ? 'text-muted' : ''}>{message}</span>
            </span>
          </span>
          {!ok && sql !== undefined && (
            <CodeBlock text={sql} label='Run in the connected database' className='ml-6' />
          )}
        </li>
      ))}
    </ul>
  )
}
