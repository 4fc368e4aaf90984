import { Link, type LinkProps } from '@tanstack/react-router'
import { clsx } from 'clsx'
import { ChevronRight } from 'lucide-react'
import { useEffect, type ReactNode } from 'react'

export interface Crumb {
  label: string
  link: LinkProps
}
export interface Tab {
  label: string
  link: LinkProps
  isHidden?: boolean
}

/**
 * A page: breadcrumb and title, actions with one primary one, tabs that are routes, and the content. `isFilled` gives
 * the content the rest of the window, for lists and panels that scroll by themselves.
 */
export function Page ({
  title,
  crumbs = [],
  actions,
  tabs,
  description,
  isFilled = false,
  children
}: {
  title: string
  crumbs?: readonly Crumb[]
  actions?: ReactNode
  tabs?: readonly Tab[]
  description?: ReactNode
  isFilled?: boolean
  children: ReactNode
}) {
  useEffect(() => {
    document.title = `${title} · Realtime Platform`
  }, [title])
  const shownTabs = (tabs ?? []).filter(tab => tab.isHidden !== true)
  return (
    <div className={clsx('flex flex-col', isFilled ? 'h-full min-h-0' : 'min-h-full')}>
      <header className='flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 pt-3 pb-2 md:px-6'>
        <div className='min-w-0'>
          <div className='flex min-h-8 min-w-0 flex-wrap items-center gap-1'>
            {crumbs.map(crumb => (
              <span key={crumb.label} className='flex items-center gap-1 text-lg text-muted'>
                <Link {...crumb.link} className='hover:text-text hover:underline'>
                  {crumb.label}
                </Link>
                <ChevronRight size={14} aria-hidden />
              </span>
            ))}
            <h1 className='min-w-0 truncate text-lg font-semibold'>{title}</h1>
          </div>
          {description !== undefined && <p className='text-muted'>{description}</p>}
        </div>
        {actions !== undefined && <div className='flex flex-wrap items-center gap-2'>{actions}</div>}
      </header>
      {shownTabs.length > 1
        ? (
          <nav aria-label='Tabs' className='flex gap-1 overflow-x-auto border-b border-line px-3 md:px-5'>
            {shownTabs.map(tab => (
              <Link
                key={tab.label}
                {...tab.link}
                activeOptions={{ exact: true, includeSearch: false }}
                className='-mb-px border-b-2 px-2 py-1.5 whitespace-nowrap'
                activeProps={{ className: 'border-accent text-text font-medium' }}
                inactiveProps={{ className: 'border-transparent text-muted hover:text-text' }}
              >
                {tab.label}
              </Link>
            ))}
          </nav>
          )
        : (
          <div className='border-b border-line' />
          )}
      {isFilled
        ? (
          <div className='flex min-h-0 flex-1 flex-col'>{children}</div>
          )
        : (
          <div className='flex-1 px-4 py-4 md:px-6'>{children}</div>
          )}
    </div>
  )
}

/** A part of a page with a heading, in a frame. */
export function Section ({
  title,
  actions,
  children,
  className,
  isPlain = false
}: {
  title: ReactNode
  actions?: ReactNode
  children: ReactNode
  className?: string
  isPlain?: boolean
}) {
  return (
    <section className={clsx('min-w-0 rounded border border-line bg-surface', className)}>
      <div className='flex min-h-[41px] flex-wrap items-center justify-between gap-2 border-b border-line px-3 py-1'>
        <h2 className='font-semibold'>{title}</h2>
        {actions}
      </div>
      <div className={isPlain ? '' : 'p-3'}>{children}</div>
    </section>
  )
}
