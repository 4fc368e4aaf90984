import { clsx } from 'clsx'
import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'

/** Copies a text. The icon confirms it for two seconds. */
export function CopyButton ({
  text,
  label = 'Copy',
  className
}: {
  text: string | (() => string | Promise<string>)
  label?: string
  className?: string
}) {
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [isCopied])
  const Icon = isCopied ? Check : Copy
  return (
    <button
      type='button'
      aria-label={isCopied ? 'Copied' : label}
      title={label}
      className={clsx(
        'inline-grid size-6 place-items-center rounded text-muted hover:bg-hover hover:text-text',
        className
      )}
      onClick={event => {
        event.stopPropagation()
        void Promise.resolve(typeof text === 'function' ? text() : text)
          .then(value => navigator.clipboard.writeText(value))
          .then(
            () => setCopied(true),
            () => {}
          )
      }}
    >
      <Icon size={13} aria-hidden />
    </button>
  )
}

/** An id, a token or an offset in the monospaced font, with a button that copies it. */
export function Code ({ children, isCopyable = false }: { children: string; isCopyable?: boolean }) {
  return (
    <span className='inline-flex max-w-full min-w-0 items-center gap-0.5'>
      <code className='truncate font-mono text-xs'>{children}</code>
      {isCopyable && <CopyButton text={children} className='-my-1 shrink-0' />}
    </span>
  )
}

/** Several lines of code with a button that copies them. */
export function CodeBlock ({ text, label, className }: { text: string; label?: string; className?: string }) {
  return (
    <figure className={clsx('relative rounded border border-line bg-sunken', className)}>
      {label !== undefined && (
        <figcaption className='flex items-center justify-between border-b border-line py-0.5 pr-1 pl-3 text-xs text-muted'>
          {label}
          <CopyButton text={text} className='shrink-0' />
        </figcaption>
      )}
      <pre
        tabIndex={0}
        className={clsx('overflow-auto px-3 py-2 font-mono text-xs leading-5', label === undefined && 'pr-9')}
      >
        <code>{text}</code>
      </pre>
      {label === undefined && <CopyButton text={text} className='absolute top-1 right-1' />}
    </figure>
  )
}
