import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { oneOf, text } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

export interface ChannelsSearch {
  q?: string | undefined
  order?: 'asc' | 'desc' | undefined
}

export const channelsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'channels',
  validateSearch: (search: Record<string, unknown>): ChannelsSearch => ({
    q: text(search['q']),
    order: oneOf(['asc', 'desc'])(search['order'])
  }),
  component: lazyRouteComponent(() => import('./channels-page.tsx'), 'ChannelsPage')
})

/** One channel. Its tabs share what is watched, so that a membership survives a change of the tab. */
export const channelRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'channels/$channel',
  component: lazyRouteComponent(() => import('./channel-page.tsx'), 'ChannelPage')
})

export interface MembersSearch {
  q?: string | undefined
  sort?: 'joinedAt' | 'userId' | undefined
  order?: 'asc' | 'desc' | undefined
  /** The socket id of the member whose details are open. */
  open?: string | undefined
}

export const membersRoute = createRoute({
  getParentRoute: () => channelRoute,
  path: '/',
  validateSearch: (search: Record<string, unknown>): MembersSearch => ({
    q: text(search['q']),
    sort: oneOf(['joinedAt', 'userId'])(search['sort']),
    order: oneOf(['asc', 'desc'])(search['order']),
    open: text(search['open'])
  }),
  component: lazyRouteComponent(() => import('./members.tsx'), 'Members')
})

export const messagesRoute = createRoute({
  getParentRoute: () => channelRoute,
  path: 'messages',
  component: lazyRouteComponent(() => import('./messages.tsx'), 'Messages')
})

export const channelRoutes = [channelsRoute, channelRoute.addChildren([membersRoute, messagesRoute])] as const
