import { useNavigate } from '@tanstack/react-router'
import { unwrap } from '@realtime-platform/client/admin'
import { Keyboard, LogOut, MonitorSmartphone, Moon, Sun, UserRound } from 'lucide-react'
import { apiFor } from '../app/api.ts'
import { useMe } from '../app/me.ts'
import { useObserved } from '../app/observed.ts'
import { density, theme, themes } from '../app/preferences.ts'
import { closeSession } from '../app/session.ts'
import { Menu, MenuCheck, MenuItem, MenuLabel, MenuSeparator } from '../components/menu.tsx'
import { barButton } from './bar-button.ts'
import { TimesItems } from './times-menu.tsx'

const themeNames = { system: 'As the system', light: 'Light', dark: 'Dark' }
const themeIcons = { system: MonitorSmartphone, light: Sun, dark: Moon }

/** The account, the theme and the density of the user, and the way out. */
export function AccountMenu ({ onHelp }: { onHelp: () => void }) {
  const me = useMe()
  const navigate = useNavigate()
  const shownTheme = useObserved(theme)
  const isCompact = useObserved(density) === 'compact'
  const Icon = themeIcons[shownTheme]
  return (
    <Menu
      trigger={
        <button type='button' className={barButton} aria-label={`Account: ${me?.user?.name ?? ''}`}>
          <UserRound size={15} aria-hidden />
          <span className='truncate max-md:hidden'>{me?.user?.name}</span>
        </button>
      }
    >
      <MenuLabel>{me?.user?.email}</MenuLabel>
      <MenuItem
        icon={<UserRound size={14} aria-hidden />}
        onSelect={() => {
          void navigate({ to: '/account' })
        }}
      >
        Account
      </MenuItem>
      <MenuItem icon={<Keyboard size={14} aria-hidden />} onSelect={onHelp}>
        Keyboard shortcuts
        <kbd className='ml-auto rounded-sm border border-line px-1 font-sans text-xs text-muted'>?</kbd>
      </MenuItem>
      <MenuSeparator />
      <div className='md:hidden'>
        <TimesItems />
        <MenuSeparator />
      </div>
      <MenuLabel>
        <span className='inline-flex items-center gap-1'>
          <Icon size={12} aria-hidden />
          Theme
        </span>
      </MenuLabel>
      {themes.map(name => (
        <MenuCheck key={name} staysOpen isChecked={name === shownTheme} onChange={() => theme.set(name)}>
          {themeNames[name]}
        </MenuCheck>
      ))}
      <MenuSeparator />
      <MenuCheck
        staysOpen
        isChecked={isCompact}
        onChange={isChecked => density.set(isChecked ? 'compact' : 'comfortable')}
      >
        Compact rows
      </MenuCheck>
      <MenuSeparator />
      <MenuItem
        icon={<LogOut size={14} aria-hidden />}
        onSelect={() => {
          void unwrap(apiFor(null).POST('/api/auth/logout'))
            .catch(() => {})
            .finally(closeSession)
        }}
      >
        Log out
      </MenuItem>
    </Menu>
  )
}
