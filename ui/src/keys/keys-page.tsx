import { Outlet } from '@tanstack/react-router'
import { useMay } from '../app/me.ts'
import { scopePath } from '../app/scope.ts'
import { Page } from '../components/page.tsx'

/** The credentials of programs: API keys, tokens, and the keys that sign tokens. */
export function KeysPage () {
  const may = useMay()
  return (
    <Page
      title='Keys'
      isFilled
      tabs={[
        { label: 'API keys', link: { to: `${scopePath}/keys`, from: scopePath } },
        { label: 'Tokens', link: { to: `${scopePath}/keys/tokens`, from: scopePath } },
        {
          label: 'Signing keys',
          link: { to: `${scopePath}/keys/signing`, from: scopePath },
          isHidden: !may('keys:read')
        }
      ]}
    >
      <Outlet />
    </Page>
  )
}
