import type { ReactNode } from 'react'
import { Page } from '../components/page.tsx'
import { scopeLink } from './links.ts'

/** A page of one mapping, with its tabs. */
export function MappingFrame ({
  id,
  title,
  actions,
  children
}: {
  id: string
  title: string
  actions?: ReactNode
  children: ReactNode
}) {
  return (
    <Page
      title={title}
      crumbs={[
        { label: 'Database', link: scopeLink('/database') },
        { label: 'Mappings', link: scopeLink('/database/mappings') }
      ]}
      actions={actions}
      tabs={[
        { label: 'Rule', link: scopeLink('/database/mappings/$id', { id }) },
        { label: 'Versions', link: scopeLink('/database/mappings/$id/versions', { id }) },
        { label: 'Delivery log', link: scopeLink('/database/log', {}, { mapping: id }) }
      ]}
    >
      {children}
    </Page>
  )
}
