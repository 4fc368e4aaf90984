import { clsx } from 'clsx'
import { CircleAlert, CircleCheck, CircleDashed, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'

export type Tone = 'neutral' | 'ok' | 'warning' | 'critical' | 'info'

const looks: Record<Tone, string> = {
  neutral: 'bg-sunken text-muted',
  ok: 'bg-ok-soft text-ok',
  warning: 'bg-warning-soft text-warning',
  critical: 'bg-critical-soft text-critical',
  info: 'bg-info-soft text-info'
}
const icons = { neutral: CircleDashed, ok: CircleCheck, warning: TriangleAlert, critical: CircleAlert, info: Info }

/** A state in a word, with an icon beside its colour. */
export function Badge ({
  tone = 'neutral',
  children,
  hasIcon = true,
  title
}: {
  tone?: Tone
  children: ReactNode
  hasIcon?: boolean
  title?: string
}) {
  const Icon = icons[tone]
  return (
    <span
      title={title}
      className={clsx(
        'inline-flex h-5 shrink-0 items-center gap-1 rounded-sm px-1.5 align-middle text-xs font-medium',
        'whitespace-nowrap',
        looks[tone]
      )}
    >
      {hasIcon && <Icon size={12} aria-hidden />}
      {children}
    </span>
  )
}
