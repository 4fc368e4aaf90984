import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Page, type Crumb } from '../components/page.tsx'
import { Refused } from '../components/states.tsx'

/** The title and tabs that the pages of the debugger share. */
export function DebuggerFrame ({
  title = 'Debugger',
  actions,
  isFilled = false,
  children
}: {
  title?: string
  actions?: ReactNode
  isFilled?: boolean
  children: ReactNode
}) {
  const params = { ...usePageScope() }
  const may = useMay()
  return (
    <Page
      title={title}
      isFilled={isFilled}
      actions={actions}
      tabs={[
        { label: 'Traces', link: { to: `${scopePath}/debugger`, params } },
        { label: 'Why not?', link: { to: `${scopePath}/debugger/explain`, params } },
        { label: 'Dry run', link: { to: `${scopePath}/debugger/route`, params } },
        { label: 'Replays', link: { to: `${scopePath}/debugger/replays`, params } }
      ]}
    >
      {may('debugger:read') ? children : <Refused message='Permission required: debugger:read' />}
    </Page>
  )
}

/** The breadcrumb of pages below the debugger. */
export const useDebuggerCrumb = (): Crumb => {
  const params = { ...usePageScope() }
  return { label: 'Debugger', link: { to: `${scopePath}/debugger`, params } }
}
