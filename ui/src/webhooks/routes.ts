import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { flag, listSearch, oneOf, rangeSearch, text, type ListSearch, type RangeSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'
import { statusClasses, type Delivery, type StatusClass } from './status.ts'

export interface WebhooksSearch extends ListSearch {
  active?: 'true' | 'false'
}

export interface DeliveriesSearch extends RangeSearch {
  state?: Delivery['state']
  status?: StatusClass
  topic?: string
  webhookId?: string
  eventId?: string
  allEnvironments?: true
}

export const webhooksRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'webhooks',
  validateSearch: (search: Record<string, unknown>): WebhooksSearch => ({
    ...listSearch(search),
    active: oneOf(['true', 'false'])(String(search['active']))
  }),
  component: lazyRouteComponent(() => import('./webhooks-page.tsx'), 'WebhooksPage')
})

export const newWebhookRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'webhooks/new',
  component: lazyRouteComponent(() => import('./new-webhook-page.tsx'), 'NewWebhookPage')
})

export const webhookRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'webhooks/$id',
  validateSearch: rangeSearch,
  component: lazyRouteComponent(() => import('./webhook-page.tsx'), 'WebhookPage')
})

export const webhookSettingsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'webhooks/$id/settings',
  component: lazyRouteComponent(() => import('./webhook-settings.tsx'), 'WebhookSettingsPage')
})

export const webhookVerifyRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'webhooks/$id/verify',
  component: lazyRouteComponent(() => import('./webhook-verify.tsx'), 'WebhookVerifyPage')
})

export const deliveriesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'deliveries',
  validateSearch: (search: Record<string, unknown>): DeliveriesSearch => ({
    ...rangeSearch(search),
    state: oneOf(['pending', 'delivered', 'dead'])(search['state']),
    status: oneOf(statusClasses)(search['status']),
    topic: text(search['topic']),
    webhookId: text(search['webhookId']),
    eventId: text(search['eventId']),
    allEnvironments: flag(search['allEnvironments'])
  }),
  component: lazyRouteComponent(() => import('./deliveries-page.tsx'), 'DeliveriesPage')
})

/** A delivery opens beside the list, which stays as it is. */
export const deliveryRoute = createRoute({ getParentRoute: () => deliveriesRoute, path: '$deliveryId' })

export const webhookRoutes = [
  webhooksRoute,
  newWebhookRoute,
  webhookRoute,
  webhookSettingsRoute,
  webhookVerifyRoute,
  deliveriesRoute.addChildren([deliveryRoute])
] as const
