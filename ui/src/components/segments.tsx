import { clsx } from 'clsx'

/** A choice between two to five values that are all in sight. */
export function Segments<Value extends string> ({
  label,
  choices,
  value,
  onChange
}: {
  label: string
  choices: readonly { value: Value; label: string }[]
  value: Value
  onChange: (value: Value) => void
}) {
  return (
    <div
      role='group'
      aria-label={label}
      className='inline-flex h-8 rounded border border-control/60 bg-surface p-0.5'
    >
      {choices.map(choice => (
        <button
          key={choice.value}
          type='button'
          aria-pressed={choice.value === value}
          className={clsx(
            'rounded-sm px-2.5 whitespace-nowrap',
            choice.value === value ? 'bg-selected font-medium text-text' : 'text-muted hover:text-text'
          )}
          onClick={() => onChange(choice.value)}
        >
          {choice.label}
        </button>
      ))}
    </div>
  )
}
