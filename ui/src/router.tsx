import { createRouter } from '@tanstack/react-router'
import { accountRoutes } from './account/routes.ts'
import { alertRoutes } from './alerts/routes.ts'
import { apiReferenceRoutes } from './api-reference/routes.ts'
import { applicationRoutes } from './applications/routes.ts'
import { auditRoutes } from './audit/routes.ts'
import { channelRoutes } from './channels/routes.ts'
import { connectionRoutes } from './connections/routes.ts'
import { databaseRoutes } from './database/routes.ts'
import { debuggerRoutes } from './debugger/routes.ts'
import { deploymentRoutes } from './deployments/routes.ts'
import { documentRoutes } from './documents/routes.ts'
import { firstStepsRoutes } from './first-steps/routes.ts'
import { keyRoutes } from './keys/routes.ts'
import { monitoringRoutes } from './monitoring/routes.ts'
import { overviewRoutes } from './overview/routes.ts'
import { peopleRoutes } from './people/routes.ts'
import { schemaRoutes } from './schemas/routes.ts'
import { NotFound, PageFailure } from './shell/failures.tsx'
import { homeRoute, rootRoute, scopeRoute, signedInRoute } from './shell/routes.ts'
import { signInRoutes } from './sign-in/routes.ts'
import { topicRoutes } from './topics/routes.ts'
import { webhookRoutes } from './webhooks/routes.ts'

const routeTree = rootRoute.addChildren([
  ...signInRoutes,
  signedInRoute.addChildren([
    homeRoute,
    ...firstStepsRoutes,
    ...applicationRoutes,
    ...peopleRoutes,
    ...auditRoutes,
    ...accountRoutes,
    scopeRoute.addChildren([
      ...overviewRoutes,
      ...topicRoutes,
      ...schemaRoutes,
      ...debuggerRoutes,
      ...databaseRoutes,
      ...documentRoutes,
      ...channelRoutes,
      ...connectionRoutes,
      ...webhookRoutes,
      ...monitoringRoutes,
      ...alertRoutes,
      ...deploymentRoutes,
      ...keyRoutes,
      ...apiReferenceRoutes
    ])
  ])
])

export const router = createRouter({
  routeTree,
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultErrorComponent: PageFailure,
  defaultNotFoundComponent: NotFound
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
