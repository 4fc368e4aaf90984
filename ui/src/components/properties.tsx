import type { ReactNode } from 'react'

/** Names and values of one thing, in two columns. */
export function Properties ({ items }: { items: readonly (readonly [name: string, value: ReactNode] | false)[] }) {
  return (
    <dl className='grid grid-cols-[minmax(7rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1.5'>
      {items
        .filter(item => item !== false)
        .map(([name, value]) => (
          <div key={name} className='contents'>
            <dt className='text-muted'>{name}</dt>
            <dd className='min-w-0 break-words'>{value}</dd>
          </div>
        ))}
    </dl>
  )
}
