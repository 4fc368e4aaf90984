import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

const keysRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'keys',
  component: lazyRouteComponent(() => import('./keys-page.tsx'), 'KeysPage')
})

export const apiKeysRoute = createRoute({
  getParentRoute: () => keysRoute,
  path: '/',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./api-keys.tsx'), 'ApiKeys')
})

const tokensRoute = createRoute({
  getParentRoute: () => keysRoute,
  path: 'tokens',
  component: lazyRouteComponent(() => import('./tokens.tsx'), 'Tokens')
})

export const signingKeysRoute = createRoute({
  getParentRoute: () => keysRoute,
  path: 'signing',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./signing-keys.tsx'), 'SigningKeys')
})

export const keyRoutes = [keysRoute.addChildren([apiKeysRoute, tokensRoute, signingKeysRoute])] as const
