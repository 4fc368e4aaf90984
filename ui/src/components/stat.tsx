import { clsx } from 'clsx'
import type { ReactNode } from 'react'

/** One number with its unit, its name, and a line that shows where it comes from. */
export function Stat ({
  name,
  value,
  unit,
  tone,
  children
}: {
  name: string
  value: string
  unit?: string
  tone?: 'ok' | 'warning' | 'critical'
  children?: ReactNode
}) {
  const colour = tone === 'critical' ? 'text-critical' : tone === 'warning' ? 'text-warning' : ''
  return (
    <div className='grid content-start gap-1 rounded border border-line bg-surface p-3'>
      <p className='text-muted'>{name}</p>
      <p className={clsx('text-xl font-semibold', colour)}>
        {value}
        {unit !== undefined && <span className='ml-1 text-sm font-normal text-muted'>{unit}</span>}
      </p>
      {children}
    </div>
  )
}

/** A small line of recent values. Missing ones leave a gap. */
export function Sparkline ({
  values,
  label,
  className
}: {
  values: readonly (number | null)[]
  label: string
  className?: string
}) {
  const max = Math.max(...values.map(value => value ?? 0), 0)
  const path = values
    .map((value, i) => {
      if (value === null) return ''
      const command = i === 0 || values[i - 1] === null ? 'M' : 'L'
      return `${command}${i} ${max === 0 ? 29 : 29 - (value / max) * 28}`
    })
    .join('')
  return (
    <svg
      role='img'
      aria-label={label}
      viewBox={`0 0 ${Math.max(values.length - 1, 1)} 30`}
      preserveAspectRatio='none'
      className={clsx('h-8 w-full text-accent', className)}
    >
      <path d={path} fill='none' stroke='currentColor' strokeWidth='1.5' vectorEffect='non-scaling-stroke' />
    </svg>
  )
}
