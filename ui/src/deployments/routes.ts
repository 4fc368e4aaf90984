import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch, oneOf, type ListSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'
import { statuses, type Status } from './words.ts'

interface DeploymentsSearch extends ListSearch {
  status?: Status
}

export const deploymentsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'deployments',
  validateSearch: (search: Record<string, unknown>): DeploymentsSearch => ({
    ...listSearch(search),
    status: oneOf(statuses)(search['status'])
  }),
  component: lazyRouteComponent(() => import('./deployments-page.tsx'), 'DeploymentsPage')
})

export const newDeploymentRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'deployments/new',
  validateSearch: (search: Record<string, unknown>): { source?: 'development' | 'staging' } => ({
    source: oneOf(['development', 'staging'])(search['source'])
  }),
  component: lazyRouteComponent(() => import('./compose-page.tsx'), 'ComposePage')
})

export const deploymentRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'deployments/$id',
  component: lazyRouteComponent(() => import('./deployment-page.tsx'), 'DeploymentPage')
})

export const deploymentRoutes = [deploymentsRoute, newDeploymentRoute, deploymentRoute] as const
