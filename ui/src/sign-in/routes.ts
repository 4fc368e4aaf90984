import { createRoute, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { text } from '../app/search.ts'
import { session } from '../app/session.ts'
import { rootRoute } from '../shell/routes.ts'
import { ownPath } from './own-path.ts'
import { fragment } from './fragment.ts'

/* Pages without a session. Tokens and codes arrive in the fragment, which is neither sent nor logged. */

export const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/login',
  validateSearch: (search): { returnTo?: string } => ({ returnTo: text(search['returnTo']) }),
  beforeLoad ({ search: { returnTo } }) {
    if (session.value !== null && fragment.value === null) throw redirect({ href: ownPath(returnTo), replace: true })
  },
  component: lazyRouteComponent(() => import('./login-page.tsx'), 'LoginPage')
})

const setupRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/setup',
  component: lazyRouteComponent(() => import('./setup-page.tsx'), 'SetupPage')
})

const forgotPasswordRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/forgot-password',
  component: lazyRouteComponent(() => import('./forgot-password-page.tsx'), 'ForgotPasswordPage')
})

const resetPasswordRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/reset-password',
  component: lazyRouteComponent(() => import('./reset-password-page.tsx'), 'ResetPasswordPage')
})

const acceptInviteRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/accept-invite',
  component: lazyRouteComponent(() => import('./accept-invite-page.tsx'), 'AcceptInvitePage')
})

export const signInRoutes = [
  loginRoute,
  setupRoute,
  forgotPasswordRoute,
  resetPasswordRoute,
  acceptInviteRoute
] as const
