import { diffLines } from 'diff'
import { clsx } from 'clsx'

/** Shows the lines that differ between two texts, with three lines around each change. */
export function DiffView ({ before, after, label = 'Changes' }: { before: string; after: string; label?: string }) {
  const lines = diffLines(before, after).flatMap(({ value, added, removed }) =>
    value
      .replace(/\n$/, '')
      .split('\n')
      .map(text => ({ text, sign: added ? ('+' as const) : removed ? ('−' as const) : (' ' as const) }))
  )
  const isNear = lines.map((_, i) => lines.slice(Math.max(i - 3, 0), i + 4).some(({ sign }) => sign !== ' '))
  if (!isNear.some(Boolean)) return <p className='text-muted'>No difference.</p>
  return (
    <pre
      tabIndex={0}
      aria-label={label}
      className='max-h-[60vh] overflow-auto rounded border border-line bg-sunken py-2 font-mono text-xs leading-5'
    >
      {lines.map(({ text, sign }, i) => {
        if (isNear[i] !== true) {
          return isNear[i - 1] === true
            ? (
              <div key={i} className='px-3 text-muted'>
                ⋯
              </div>
              )
            : null
        }
        return (
          <div
            key={i}
            className={clsx(
              'px-3 whitespace-pre-wrap',
              sign === '+' && 'bg-ok-soft',
              sign === '−' && 'bg-critical-soft'
            )}
          >
            <span className='mr-2 inline-block w-3 text-muted select-none'>{sign}</span>
            {text}
          </div>
        )
      })}
    </pre>
  )
}

/** The differences of two JSON values, as text with two spaces a level. */
export const JsonDiff = ({ before, after, label }: { before: unknown; after: unknown; label?: string }) => (
  <DiffView before={toText(before)} after={toText(after)} {...(label !== undefined && { label })} />
)

const toText = (value: unknown): string => (value === undefined ? '' : JSON.stringify(value, null, 2))
