import { clsx } from 'clsx'
import { CircleCheck, CircleX, TriangleAlert } from 'lucide-react'
import { CodeBlock } from '../components/code.tsx'

export interface Check {
  name: string
  status: 'ok' | 'failed' | 'warning'
  message: string
  sql?: string | undefined
}

const looks = {
  ok: { Icon: CircleCheck, colour: 'text-ok', word: 'Passed' },
  failed: { Icon: CircleX, colour: 'text-critical', word: 'Failed' },
  warning: { Icon: TriangleAlert, colour: 'text-warning', word: 'Warning' }
}

/** Preconditions with their outcome, and the statement that fixes each one that failed. */
export function Checks ({ checks, label }: { checks: readonly Check[]; label: string }) {
  return (
    <ul aria-label={label} className='grid gap-2'>
      {checks.map(({ name, status, message, sql }, i) => {
        const { Icon, colour, word } = looks[status]
        return (
          <li key={`${name}-${i}`} className='flex items-start gap-2' data-status={status}>
            <Icon size={16} aria-hidden className={clsx('mt-0.5 shrink-0', colour)} />
            <div className='grid min-w-0 flex-1 gap-1'>
              <p className='break-words'>
                <span className='sr-only'>{word}: </span>
                <span className='mr-2 font-medium'>{titleOf(name)}</span>
                <span className={status === 'ok' ? 'text-muted' : ''}>{message}</span>
              </p>
              {sql !== undefined && <Sql text={sql} />}
            </div>
          </li>
        )
      })}
    </ul>
  )
}

/** A statement to run in the connected database. */
export const Sql = ({ text }: { text: string }) => <CodeBlock text={text} />

const titles: Record<string, string> = {
  wal_level: 'wal_level',
  wal_senders: 'WAL senders',
  wal_retention: 'WAL retention',
  replica_identity: 'Replica identity'
}

const titleOf = (name: string): string =>
  titles[name] ?? `${name.charAt(0).toUpperCase()}${name.slice(1).replaceAll('_', ' ')}`
