import { clsx } from 'clsx'
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react'

export type ButtonKind = 'primary' | 'normal' | 'plain' | 'danger'

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: ButtonKind
  icon?: ReactNode
  isBusy?: boolean
  ref?: Ref<HTMLButtonElement>
}

const kinds: Record<ButtonKind, string> = {
  primary: 'bg-accent text-on-accent border-transparent hover:bg-accent-hover',
  normal: 'bg-surface text-text border-control/60 hover:bg-hover',
  plain: 'bg-transparent text-muted border-transparent hover:bg-hover hover:text-text',
  danger: 'bg-surface text-critical border-critical/60 hover:bg-critical-soft'
}

/** The look of a button, for links that act as one. */
export const buttonLook = (kind: ButtonKind = 'normal'): string =>
  clsx(
    'inline-flex h-8 shrink-0 items-center justify-center gap-1.5 rounded border px-3 font-medium whitespace-nowrap',
    'disabled:opacity-55',
    kinds[kind]
  )

/** A button with a verb on it. While it is busy, it cannot be pressed again. */
export function Button ({
  kind = 'normal',
  icon,
  isBusy = false,
  className,
  children,
  disabled,
  type = 'button',
  ...rest
}: ButtonProps) {
  return (
    <button
      type={type}
      className={clsx(buttonLook(kind), className)}
      disabled={disabled === true || isBusy}
      aria-busy={isBusy || undefined}
      {...rest}
    >
      {icon}
      {children}
    </button>
  )
}

/** A button with an icon only. The label is read out and shown on hover. */
export function IconButton ({ label, icon, className, ...rest }: Omit<ButtonProps, 'children'> & { label: string }) {
  return (
    <Button kind='plain' aria-label={label} title={label} className={clsx('w-8 px-0!', className)} {...rest}>
      {icon}
    </Button>
  )
}
