import { Link, Outlet } from '@tanstack/react-router'
import { useScopeConnection, LiveProvider } from '../app/live.ts'
import { applicationsOf, useMe } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Page } from '../components/page.tsx'
import { Empty } from '../components/states.tsx'
import { useLiveClient } from './live-client.ts'

/** Gives the pages of an application its connection. */
export function Scoped () {
  const scope = usePageScope()
  const application = useGlobal(
    '/api/applications/{id}',
    { path: { id: scope.applicationId } },
    { staleTime: 60_000 }
  )
  const me = useMe()
  // Who has a role in the application may use its pages without `applications:read`.
  const hasRole = applicationsOf(me).includes(scope.applicationId)
  const status = application.error?.status
  const isUnknown = status === 400 || status === 404 || (status === 403 && !hasRole)
  const client = useScopeConnection(isUnknown ? null : scope)
  useLiveClient(client)
  if (isUnknown) return <UnknownApplication id={scope.applicationId} />
  return client !== null
    ? (
      <LiveProvider value={client} key={`${scope.applicationId}/${scope.environment}`}>
        <Outlet />
      </LiveProvider>
      )
    : null
}

const UnknownApplication = ({ id }: { id: string }) => (
  <Page title='Unknown application'>
    <Empty
      title='This application does not exist, or you have no access to it'
      action={
        <Link to='/applications' className='text-accent underline'>
          Show your applications
        </Link>
      }
    >
      The link names the application <code className='font-mono break-all text-text'>{id}</code>. It may have been
      deleted, or none of your roles covers it.
    </Empty>
  </Page>
)
