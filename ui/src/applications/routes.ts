import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch, oneOf } from '../app/search.ts'
import { signedInRoute } from '../shell/routes.ts'

export const applicationsRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'applications',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./applications-page.tsx'), 'ApplicationsPage')
})

export const applicationRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'applications/$id',
  component: lazyRouteComponent(() => import('./application-page.tsx'), 'ApplicationPage')
})

export const applicationSettingsRoute = createRoute({
  getParentRoute: () => applicationRoute,
  path: '/',
  component: lazyRouteComponent(() => import('./settings.tsx'), 'Settings')
})

export const applicationQuotasRoute = createRoute({
  getParentRoute: () => applicationRoute,
  path: 'quotas',
  component: lazyRouteComponent(() => import('./quotas.tsx'), 'Quotas')
})

export const applicationUsageRoute = createRoute({
  getParentRoute: () => applicationRoute,
  path: 'usage',
  validateSearch: (search: Record<string, unknown>): { by?: 'day' | 'hour' } => ({
    by: oneOf(['day', 'hour'])(search['by'])
  }),
  component: lazyRouteComponent(() => import('./usage.tsx'), 'Usage')
})

export const applicationAccessRoute = createRoute({
  getParentRoute: () => applicationRoute,
  path: 'access',
  component: lazyRouteComponent(() => import('./access.tsx'), 'Access')
})

export const applicationRoutes = [
  applicationsRoute,
  applicationRoute.addChildren([
    applicationSettingsRoute,
    applicationQuotasRoute,
    applicationUsageRoute,
    applicationAccessRoute
  ])
] as const
