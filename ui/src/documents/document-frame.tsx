import type { ReactNode } from 'react'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Page } from '../components/page.tsx'

/** The page of a document, with its tabs. */
export function DocumentFrame ({
  service,
  id,
  actions,
  isFilled = false,
  children
}: {
  service: string
  id: string
  actions?: ReactNode
  isFilled?: boolean
  children: ReactNode
}) {
  const scope = usePageScope()
  const params = { ...scope, service, id }
  return (
    <Page
      title={id}
      crumbs={[
        { label: 'Documents', link: { to: `${scopePath}/documents`, params: scope } },
        { label: service, link: { to: `${scopePath}/documents/$service`, params: { ...scope, service } } }
      ]}
      actions={actions}
      isFilled={isFilled}
      tabs={[
        { label: 'Document', link: { to: `${scopePath}/documents/$service/$id`, params } },
        { label: 'History', link: { to: `${scopePath}/documents/$service/$id/history`, params } }
      ]}
    >
      {children}
    </Page>
  )
}
