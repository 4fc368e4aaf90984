import { Link } from '@tanstack/react-router'
import { Clock, Menu as MenuIcon, Search } from 'lucide-react'
import { useObserved } from '../app/observed.ts'
import { timeMode } from '../app/preferences.ts'
import { IconButton } from '../components/button.tsx'
import { Menu } from '../components/menu.tsx'
import { AccountMenu } from './account-menu.tsx'
import { barButton } from './bar-button.ts'
import { LiveBadge } from './live-badge.tsx'
import { isMac } from './mac.ts'
import { ScopeSwitcher } from './scope-switcher.tsx'
import { TimesItems, timeNames } from './times-menu.tsx'

interface TopBarProps {
  onSearch: () => void
  onMenu: () => void
  onHelp: () => void
}

/** The bar above every page: the scope, the search, the state of the connection, times and the account. */
export function TopBar ({ onSearch, onMenu, onHelp }: TopBarProps) {
  const times = useObserved(timeMode)
  return (
    <header
      className='flex h-12 shrink-0 items-center gap-1 bg-surface px-2 md:grid md:px-3
        md:grid-cols-[minmax(max-content,1fr)_minmax(2rem,18rem)_minmax(max-content,1fr)]'
    >
      <div className='flex items-center gap-1'>
        <IconButton label='Pages' icon={<MenuIcon size={18} />} onClick={onMenu} className='md:hidden' />
        <Link to='/' aria-label='Realtime Platform, overview' className='mr-1 rounded p-1 max-md:hidden'>
          <img src='/favicon.svg' alt='' width={22} height={22} />
        </Link>
        <ScopeSwitcher />
      </div>
      <button
        type='button'
        onClick={onSearch}
        className='inline-flex h-8 min-w-8 items-center gap-2 overflow-hidden rounded border border-line bg-page px-2
          text-muted hover:border-control max-md:ml-auto max-md:w-8 max-md:shrink-0'
      >
        <Search size={14} className='shrink-0' aria-hidden />
        <span className='max-md:sr-only'>Search</span>
        <kbd className='ml-auto rounded-sm border border-line px-1 font-sans text-xs max-md:hidden'>
          {isMac ? '⌘K' : 'Ctrl K'}
        </kbd>
      </button>
      <div className='flex items-center justify-end gap-1'>
        <LiveBadge />
        <Menu
          trigger={
            <button type='button' className={`${barButton} max-md:hidden`} aria-label={`Times: ${timeNames[times]}`}>
              <Clock size={14} aria-hidden />
              {timeNames[times]}
            </button>
          }
        >
          <TimesItems />
        </Menu>
        <AccountMenu onHelp={onHelp} />
      </div>
    </header>
  )
}
