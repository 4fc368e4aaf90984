import type { ReactNode } from 'react'
import { Page } from '../components/page.tsx'
import { scopeLink } from './links.ts'

/** A page of the section, with its tabs. */
export function DatabaseFrame ({
  actions,
  isFilled = false,
  children
}: {
  actions?: ReactNode
  isFilled?: boolean
  children: ReactNode
}) {
  return (
    <Page
      title='Database'
      isFilled={isFilled}
      actions={actions}
      tabs={[
        { label: 'Connection', link: scopeLink('/database') },
        { label: 'Tables', link: scopeLink('/database/tables') },
        { label: 'Mappings', link: scopeLink('/database/mappings') },
        { label: 'Delivery log', link: scopeLink('/database/log') }
      ]}
    >
      {children}
    </Page>
  )
}
