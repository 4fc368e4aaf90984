import { Link, Outlet } from '@tanstack/react-router'
import { useGlobal } from '../app/queries.ts'
import { scopePath } from '../app/scope.ts'
import { buttonLook } from '../components/button.tsx'
import { Page } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { applicationRoute } from './routes.ts'

/** One application: its settings, quotas, usage, and who has access to it. */
export function ApplicationPage () {
  const { id } = applicationRoute.useParams()
  const application = useGlobal('/api/applications/{id}', { path: { id } })
  return (
    <Page
      title={application.data?.name ?? id}
      crumbs={[{ label: 'Applications', link: { to: '/applications' } }]}
      actions={
        application.data !== undefined && (
          <Link to={scopePath} params={{ applicationId: id, environment: 'development' }} className={buttonLook()}>
            Open
          </Link>
        )
      }
      tabs={[
        { label: 'Settings', link: { to: '/applications/$id', params: { id } } },
        { label: 'Quotas', link: { to: '/applications/$id/quotas', params: { id } } },
        { label: 'Usage', link: { to: '/applications/$id/usage', params: { id } } },
        { label: 'Access', link: { to: '/applications/$id/access', params: { id } } }
      ]}
    >
      <Loaded query={application}>{() => <Outlet />}</Loaded>
    </Page>
  )
}
