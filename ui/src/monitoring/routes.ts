import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { rangeSearch, text, type RangeSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

interface MonitoringSearch extends RangeSearch {
  topic?: string
  webhook?: string
}

export const monitoringRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'monitoring',
  validateSearch: (search: Record<string, unknown>): MonitoringSearch => ({
    ...rangeSearch(search),
    topic: text(search['topic']),
    webhook: text(search['webhook'])
  }),
  component: lazyRouteComponent(() => import('./monitoring-page.tsx'), 'MonitoringPage')
})

export const monitoringRoutes = [monitoringRoute] as const
