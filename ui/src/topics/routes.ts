import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { flag, integer, oneOf, text } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'
import { isFilter, type EventFilter } from './explorer/filter.ts'

interface TopicsSearch {
  q?: string | undefined
  sort?: 'name' | 'createdAt' | undefined
  order?: 'asc' | 'desc' | undefined
  owner?: string | undefined
  /** Whether the platform's own topics are listed as well. */
  system?: true | undefined
}

export const topicsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'topics',
  validateSearch: (search: Record<string, unknown>): TopicsSearch => ({
    q: text(search['q']),
    sort: oneOf(['name', 'createdAt'])(search['sort']),
    order: oneOf(['asc', 'desc'])(search['order']),
    owner: text(search['owner']),
    system: flag(search['system'])
  }),
  component: lazyRouteComponent(() => import('./topics-page.tsx'), 'TopicsPage')
})

export interface ExplorerSearch {
  /** The offset of the event whose details are open. */
  event?: number | undefined
  filter?: EventFilter | undefined
  key?: string | undefined
  /** Shown columns after offset and time: names of parts of the envelope, and `payload.` with a path. */
  columns?: string[] | undefined
  /** The newest offset that is shown. */
  at?: number | undefined
  /** The latest time that is shown, in epoch milliseconds. */
  to?: number | undefined
  /** `off`: new events are not received. */
  live?: 'off' | undefined
}

const texts = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.filter(item => typeof item === 'string') : undefined

export const topicRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'topics/$name',
  validateSearch: (search: Record<string, unknown>): ExplorerSearch => ({
    event: integer(search['event']),
    filter: isFilter(search['filter']) ? search['filter'] : undefined,
    key: text(search['key']),
    columns: texts(search['columns']),
    at: integer(search['at']),
    to: integer(search['to']),
    live: oneOf(['off'])(search['live'])
  }),
  component: lazyRouteComponent(() => import('./explorer/explorer-page.tsx'), 'ExplorerPage')
})

export const publishRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'topics/$name/publish',
  component: lazyRouteComponent(() => import('./publish/publish-page.tsx'), 'PublishPage')
})

export const topicSchemaRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'topics/$name/schema',
  component: lazyRouteComponent(() => import('./topic-schema-page.tsx'), 'TopicSchemaPage')
})

export const subscribersRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'topics/$name/subscribers',
  component: lazyRouteComponent(() => import('./subscribers-page.tsx'), 'SubscribersPage')
})

export const topicSettingsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'topics/$name/settings',
  component: lazyRouteComponent(() => import('./topic-settings-page.tsx'), 'TopicSettingsPage')
})

export const topicRoutes = [
  topicsRoute,
  topicRoute,
  publishRoute,
  topicSchemaRoute,
  subscribersRoute,
  topicSettingsRoute
] as const
