import { CopyButton } from '../components/code.tsx'

/** The headers of a request or response, rendered as text. */
export function Headers ({ headers, label }: { headers: Record<string, string>; label: string }) {
  const lines = Object.entries(headers)
  return (
    <div role='group' aria-label={label} className='relative rounded border border-line bg-sunken'>
      <div
        tabIndex={0}
        role='region'
        aria-label={`${label}, scrollable`}
        className='grid max-h-60 gap-y-0.5 overflow-auto py-2 pr-9 pl-3 font-mono text-xs'
      >
        {lines.length === 0 && <span className='text-muted'>No headers</span>}
        {lines.map(([name, value]) => (
          <div key={name} className='break-all'>
            <span className='text-info'>{name}</span>: {value}
          </div>
        ))}
      </div>
      <CopyButton
        text={lines.map(([name, value]) => `${name}: ${value}\n`).join('')}
        label={`Copy the ${label.toLowerCase()}`}
        className='absolute top-1 right-1'
      />
    </div>
  )
}
