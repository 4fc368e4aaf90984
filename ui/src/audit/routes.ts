import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { environments, type Environment } from '../app/api.ts'
import { integer, oneOf, rangeSearch, text, type RangeSearch } from '../app/search.ts'
import { signedInRoute } from '../shell/routes.ts'

export interface AuditSearch extends RangeSearch {
  q?: string
  actor?: string
  action?: string
  resource?: string
  resourceId?: string
  application?: string
  environment?: Environment
  order?: 'asc' | 'desc'
  /** The entry whose details are open, and its time, by which it is found again. */
  open?: string
  at?: number
}

export const auditRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'audit',
  validateSearch: (search): AuditSearch => ({
    ...rangeSearch(search),
    q: text(search['q']),
    actor: text(search['actor']),
    action: text(search['action']),
    resource: text(search['resource']),
    resourceId: text(search['resourceId']),
    application: text(search['application']),
    environment: oneOf(environments)(search['environment']),
    order: oneOf(['asc', 'desc'])(search['order']),
    open: text(search['open']),
    at: integer(search['at'])
  }),
  component: lazyRouteComponent(() => import('./audit-page.tsx'), 'AuditPage')
})

export const auditRoutes = [auditRoute] as const
