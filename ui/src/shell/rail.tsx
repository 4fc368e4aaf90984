import { Link } from '@tanstack/react-router'
import { clsx } from 'clsx'
import { PanelLeftClose, PanelLeftOpen } from 'lucide-react'
import { useMe } from '../app/me.ts'
import { useObserved } from '../app/observed.ts'
import { rail } from '../app/preferences.ts'
import { useScope } from '../app/scope.ts'
import { navigationFor, type NavigationItem } from './navigation.ts'

/** The pages that the role may see, in seven sections. It collapses to icons; on a phone it lies over the page. */
export function Rail ({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const isCollapsed = useObserved(rail) === 'collapsed'
  const me = useMe()
  const scope = useScope()
  return (
    <>
      {isOpen && <div className='absolute inset-0 z-20 bg-black/40 md:hidden' onClick={onClose} aria-hidden />}
      <nav
        aria-label='Pages'
        onKeyDown={event => {
          if (event.key === 'Escape') onClose()
        }}
        className={clsx(
          'flex shrink-0 flex-col border-r border-line bg-surface',
          isCollapsed ? 'md:w-12' : 'md:w-48',
          isOpen
            ? 'max-md:absolute max-md:inset-y-0 max-md:left-0 max-md:z-30 max-md:w-60 max-md:shadow-over'
            : 'max-md:hidden'
        )}
      >
        <div className='min-h-0 flex-1 overflow-x-hidden overflow-y-auto pt-2'>
          {navigationFor(me, scope).map(section => {
            return (
              <div key={section.label} className='mb-2 px-2'>
                {section.label !== 'Overview' && (
                  <p className={clsx('px-2 pt-1 pb-0.5 text-xs text-muted', isCollapsed && 'md:hidden')}>
                    {section.label}
                  </p>
                )}
                {isCollapsed && section.label !== 'Overview' && (
                  <div className='mx-2 mb-1 border-t border-line max-md:hidden' />
                )}
                {section.items.map(item => (
                  <Item key={item.label} item={item} isCollapsed={isCollapsed} />
                ))}
              </div>
            )
          })}
        </div>
        <button
          type='button'
          aria-label={isCollapsed ? 'Expand the navigation' : 'Collapse the navigation'}
          className='flex h-9 shrink-0 items-center gap-2 border-t border-line px-4 text-muted hover:bg-hover hover:text-text max-md:hidden'
          onClick={() => rail.set(isCollapsed ? 'open' : 'collapsed')}
        >
          {isCollapsed
            ? (
              <PanelLeftOpen size={16} aria-hidden />
              )
            : (
              <>
                <PanelLeftClose size={16} aria-hidden />
                Collapse
              </>
              )}
        </button>
      </nav>
    </>
  )
}

function Item ({ item: { label, linkIn, icon: Icon }, isCollapsed }: { item: NavigationItem; isCollapsed: boolean }) {
  const scope = useScope()
  return (
    <Link
      {...linkIn(scope)}
      title={isCollapsed ? label : undefined}
      activeOptions={{ exact: label === 'Overview', includeSearch: false }}
      className='flex h-7 items-center gap-2 rounded px-2'
      activeProps={{ className: 'bg-selected text-text font-medium' }}
      inactiveProps={{ className: 'text-muted hover:bg-hover hover:text-text' }}
    >
      <Icon size={15} className='shrink-0' aria-hidden />
      <span className={isCollapsed ? 'md:sr-only' : ''}>{label}</span>
    </Link>
  )
}
