import { clsx } from 'clsx'
import type { Item } from './words.ts'

const signs = { add: '+', remove: '−', replace: '~' } as const

/** A JSON Patch, one operation after the other. */
export function PatchView ({ patch, label }: { patch: Item['diff']; label: string }) {
  if (patch.length === 0) return <p className='text-muted'>Nothing changes in the target.</p>
  return (
    <pre
      tabIndex={0}
      aria-label={label}
      className='max-h-80 overflow-auto rounded border border-line bg-sunken py-1 font-mono text-xs leading-5'
    >
      {patch.map(({ op, path, value }, i) => (
        <div
          key={i}
          className={clsx(
            'flex px-3',
            op === 'add' && 'bg-ok-soft',
            op === 'remove' && 'bg-critical-soft',
            op === 'replace' && 'bg-warning-soft'
          )}
        >
          <span className='mr-2 w-3 shrink-0 select-none' aria-hidden>
            {signs[op]}
          </span>
          <span className='break-words whitespace-pre-wrap'>
            <span className='sr-only'>{op} </span>
            {path !== '' && <span className='mr-2 font-medium'>{path}</span>}
            {op !== 'remove' && JSON.stringify(value, null, 2)}
          </span>
        </div>
      ))}
    </pre>
  )
}
