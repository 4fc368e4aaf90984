import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { integer, listSearch, oneOf, rangeSearch, text, type ListSearch, type RangeSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'
import { replayStates, sources, targets, traceStatuses, type ReplayState, type TraceStatus } from './words.ts'

export interface TracesSearch extends RangeSearch {
  topic?: string
  status?: TraceStatus
  source?: (typeof sources)[number]
}

export interface ExplainSearch {
  eventId?: string
  topic?: string
  offset?: number
  subscriptionId?: string
  webhookId?: string
}

export interface RouteSearch {
  topic?: string
}

export interface ReplaysSearch extends ListSearch {
  state?: ReplayState
}

export interface NewReplaySearch {
  eventId?: string
  topic?: string
  fromOffset?: number
  toOffset?: number
  target?: (typeof targets)[number]
  webhookId?: string
}

export const tracesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger',
  validateSearch: (search: Record<string, unknown>): TracesSearch => ({
    ...rangeSearch(search),
    topic: text(search['topic']),
    status: oneOf(traceStatuses)(search['status']),
    source: oneOf(sources)(search['source'])
  }),
  component: lazyRouteComponent(() => import('./traces-page.tsx'), 'TracesPage')
})

export const traceRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger/traces/$eventId',
  component: lazyRouteComponent(() => import('./trace-page.tsx'), 'TracePage')
})

export const explainRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger/explain',
  validateSearch: (search: Record<string, unknown>): ExplainSearch => ({
    eventId: text(search['eventId']),
    topic: text(search['topic']),
    offset: integer(search['offset']),
    subscriptionId: text(search['subscriptionId']),
    webhookId: text(search['webhookId'])
  }),
  component: lazyRouteComponent(() => import('./explain-page.tsx'), 'ExplainPage')
})

export const dryRunRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger/route',
  validateSearch: (search: Record<string, unknown>): RouteSearch => ({ topic: text(search['topic']) }),
  component: lazyRouteComponent(() => import('./dry-run-page.tsx'), 'DryRunPage')
})

export const replaysRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger/replays',
  validateSearch: (search: Record<string, unknown>): ReplaysSearch => ({
    ...listSearch(search),
    state: oneOf(replayStates)(search['state'])
  }),
  component: lazyRouteComponent(() => import('./replays-page.tsx'), 'ReplaysPage')
})

export const newReplayRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger/replays/new',
  validateSearch: (search: Record<string, unknown>): NewReplaySearch => ({
    eventId: text(search['eventId']),
    topic: text(search['topic']),
    fromOffset: integer(search['fromOffset']),
    toOffset: integer(search['toOffset']),
    target: oneOf(targets)(search['target']),
    webhookId: text(search['webhookId'])
  }),
  component: lazyRouteComponent(() => import('./new-replay-page.tsx'), 'NewReplayPage')
})

export const replayRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'debugger/replays/$id',
  component: lazyRouteComponent(() => import('./replay-page.tsx'), 'ReplayPage')
})

export const debuggerRoutes = [
  tracesRoute,
  traceRoute,
  explainRoute,
  dryRunRoute,
  replaysRoute,
  newReplayRoute,
  replayRoute
] as const
