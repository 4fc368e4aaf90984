import { Outlet } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Page } from '../components/page.tsx'

/** The user's own account. */
export function AccountPage () {
  return (
    <Page
      title='Account'
      isFilled
      tabs={[
        { label: 'Profile', link: { to: '/account' } },
        { label: 'Password', link: { to: '/account/password' } },
        { label: 'Second factor', link: { to: '/account/second-factor' } },
        { label: 'Sessions', link: { to: '/account/sessions' } },
        { label: 'API keys', link: { to: '/account/api-keys' } }
      ]}
    >
      <Outlet />
    </Page>
  )
}

/** A tab with forms: a narrow column that scrolls. */
export const AccountTab = ({ children }: { children: ReactNode }) => (
  <div className='min-h-0 flex-1 overflow-auto px-4 py-4 md:px-6'>
    <div className='grid max-w-xl gap-4'>{children}</div>
  </div>
)
