import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch, oneOf } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'
import { ruleNames, severities } from './words.ts'

export const alertsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'alerts',
  validateSearch: (search: Record<string, unknown>) => ({
    ...listSearch(search),
    status: oneOf(['firing', 'resolved'])(search['status']),
    severity: oneOf(severities)(search['severity']),
    rule: oneOf(ruleNames)(search['rule'])
  }),
  component: lazyRouteComponent(() => import('./alerts-page.tsx'), 'AlertsPage')
})

export const alertRulesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'alerts/rules',
  component: lazyRouteComponent(() => import('./rules-page.tsx'), 'RulesPage')
})

export const alertRoutes = [alertsRoute, alertRulesRoute] as const
