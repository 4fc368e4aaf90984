import { Navigate } from '@tanstack/react-router'
import { useApplications } from '../app/applications.ts'
import { lastScope, scopePath } from '../app/scope.ts'
import { Loaded } from '../components/states.tsx'

/** Leads to the application that was shown last, to the first one, or to the first steps where there is none. */
export function Home () {
  const applications = useApplications()
  return (
    <Loaded query={applications}>
      {list => {
        const last = lastScope()
        const application = list.find(({ id }) => id === last?.applicationId) ?? list[0]
        if (application === undefined) return <Navigate to='/first-steps' replace />
        const environment = application.id === last?.applicationId ? last.environment : 'development'
        return <Navigate to={scopePath} params={{ applicationId: application.id, environment }} replace />
      }}
    </Loaded>
  )
}
