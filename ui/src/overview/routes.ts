import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { scopeRoute } from '../shell/routes.ts'

export const overviewRoutes = [
  createRoute({
    getParentRoute: () => scopeRoute,
    path: '/',
    component: lazyRouteComponent(() => import('./overview-page.tsx'), 'OverviewPage')
  })
] as const
