import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch } from '../app/search.ts'
import { signedInRoute } from '../shell/routes.ts'

const accountRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'account',
  component: lazyRouteComponent(() => import('./account-page.tsx'), 'AccountPage')
})

const profileRoute = createRoute({
  getParentRoute: () => accountRoute,
  path: '/',
  component: lazyRouteComponent(() => import('./profile.tsx'), 'Profile')
})

const passwordRoute = createRoute({
  getParentRoute: () => accountRoute,
  path: 'password',
  component: lazyRouteComponent(() => import('./password.tsx'), 'PasswordTab')
})

const secondFactorRoute = createRoute({
  getParentRoute: () => accountRoute,
  path: 'second-factor',
  component: lazyRouteComponent(() => import('./second-factor.tsx'), 'SecondFactor')
})

export const sessionsRoute = createRoute({
  getParentRoute: () => accountRoute,
  path: 'sessions',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./sessions.tsx'), 'Sessions')
})

export const ownKeysRoute = createRoute({
  getParentRoute: () => accountRoute,
  path: 'api-keys',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./own-keys.tsx'), 'OwnKeys')
})

export const accountRoutes = [
  accountRoute.addChildren([profileRoute, passwordRoute, secondFactorRoute, sessionsRoute, ownKeysRoute])
] as const
