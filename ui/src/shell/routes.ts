import { createRootRoute, createRoute, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { isEnvironment, rememberScope, scopePath } from '../app/scope.ts'
import { session } from '../app/session.ts'
import { loadMe } from '../app/me.ts'
import { NotFound, PageFailure } from './failures.tsx'

/* The routes that pages hang below: `scopeRoute` for those of an application, `signedInRoute` for the others. */

export const rootRoute = createRootRoute({ notFoundComponent: NotFound, errorComponent: PageFailure })

/** Pages that need a session. Without one, they lead to the sign-in page and back. */
export const signedInRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: 'signed-in',
  async beforeLoad ({ location }) {
    if (session.value === null) throw redirect({ to: '/login', search: { returnTo: location.href } })
    try {
      await loadMe()
    } catch (error) {
      // A session that has ended has been closed by the client of the API.
      if (session.value === null) throw redirect({ to: '/login', search: { returnTo: location.href } })
      throw error
    }
  },
  component: lazyRouteComponent(() => import('./shell.tsx'), 'Shell')
})

/** Pages of an application and environment. */
export const scopeRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: scopePath,
  beforeLoad ({ params: { applicationId, environment } }) {
    if (!isEnvironment(environment)) {
      throw redirect({ to: '/a/$applicationId/$environment', params: { applicationId, environment: 'development' } })
    }
    rememberScope({ applicationId, environment })
  },
  component: lazyRouteComponent(() => import('./scoped.tsx'), 'Scoped')
})

/** `/` leads to the application that was shown last. */
export const homeRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: '/',
  component: lazyRouteComponent(() => import('./home.tsx'), 'Home')
})
