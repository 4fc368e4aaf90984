import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { scopeRoute } from '../shell/routes.ts'

export const apiReferenceRoutes = [
  createRoute({
    getParentRoute: () => scopeRoute,
    path: 'api-reference',
    component: lazyRouteComponent(() => import('./api-page.tsx'), 'ApiPage')
  })
] as const
