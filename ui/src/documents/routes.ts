import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { flag, integer, listSearch, oneOf, type ListSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

export const periods = ['15m', '1h', '24h', '7d'] as const

export interface DocumentsSearch extends ListSearch {
  /** Only documents that were written in this period. */
  changed?: (typeof periods)[number] | undefined
  deleted?: true | undefined
}

export const servicesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'documents',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./services-page.tsx'), 'ServicesPage')
})

export const serviceRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'documents/$service',
  validateSearch: (search: Record<string, unknown>): DocumentsSearch => ({
    ...listSearch(search),
    changed: oneOf(periods)(search['changed']),
    deleted: flag(search['deleted'])
  }),
  component: lazyRouteComponent(() => import('./service-page.tsx'), 'ServicePage')
})

export const documentRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'documents/$service/$id',
  validateSearch: (search: Record<string, unknown>): { edit?: true | undefined } => ({ edit: flag(search['edit']) }),
  component: lazyRouteComponent(() => import('./document-page.tsx'), 'DocumentPage')
})

export const historyRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'documents/$service/$id/history',
  validateSearch: (search: Record<string, unknown>): { revision?: number | undefined } => ({
    revision: integer(search['revision'])
  }),
  component: lazyRouteComponent(() => import('./history-page.tsx'), 'HistoryPage')
})

export const documentRoutes = [servicesRoute, serviceRoute, documentRoute, historyRoute] as const
