import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import {
  flag,
  integer,
  listSearch,
  oneOf,
  rangeSearch,
  text,
  type ListSearch,
  type RangeSearch
} from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

interface ConnectionSearch extends RangeSearch {
  change?: true
}

interface MappingsSearch extends ListSearch {
  topic?: string
  table?: string
}

/** The compared versions; without one, what runs now. */
interface VersionsSearch {
  before?: number
  after?: number
}

interface LogSearch extends ListSearch, RangeSearch {
  mapping?: string
  topic?: string
  status?: 'delivered' | 'rejected' | 'failed'
}

export const connectionRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database',
  validateSearch: (search: Record<string, unknown>): ConnectionSearch => ({
    ...rangeSearch(search),
    change: flag(search['change'])
  }),
  component: lazyRouteComponent(() => import('./connection-page.tsx'), 'ConnectionPage')
})

export const tablesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database/tables',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./tables-page.tsx'), 'TablesPage')
})

export const mappingsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database/mappings',
  validateSearch: (search: Record<string, unknown>): MappingsSearch => ({
    ...listSearch(search),
    topic: text(search['topic']),
    table: text(search['table'])
  }),
  component: lazyRouteComponent(() => import('./mappings-page.tsx'), 'MappingsPage')
})

export const newMappingRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database/mappings/new',
  validateSearch: (search: Record<string, unknown>): { table?: string } => ({ table: text(search['table']) }),
  component: lazyRouteComponent(() => import('./new-mapping-page.tsx'), 'NewMappingPage')
})

export const mappingRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database/mappings/$id',
  component: lazyRouteComponent(() => import('./mapping-page.tsx'), 'MappingPage')
})

export const versionsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database/mappings/$id/versions',
  validateSearch: (search: Record<string, unknown>): VersionsSearch => ({
    before: integer(search['before']),
    after: integer(search['after'])
  }),
  component: lazyRouteComponent(() => import('./versions-page.tsx'), 'VersionsPage')
})

export const logRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'database/log',
  validateSearch: (search: Record<string, unknown>): LogSearch => ({
    ...listSearch(search),
    ...rangeSearch(search),
    mapping: text(search['mapping']),
    topic: text(search['topic']),
    status: oneOf(['delivered', 'rejected', 'failed'])(search['status'])
  }),
  component: lazyRouteComponent(() => import('./log-page.tsx'), 'LogPage')
})

export const databaseRoutes = [
  connectionRoute,
  tablesRoute,
  mappingsRoute,
  newMappingRoute,
  mappingRoute,
  versionsRoute,
  logRoute
] as const
