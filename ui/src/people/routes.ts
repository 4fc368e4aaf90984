import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch, text, type ListSearch } from '../app/search.ts'
import { signedInRoute } from '../shell/routes.ts'

export interface PeopleSearch extends ListSearch {
  role?: string
  application?: string
}

const peopleSearch = (search: Record<string, unknown>): PeopleSearch => ({
  ...listSearch(search),
  role: text(search['role']),
  application: text(search['application'])
})

export const usersRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'users',
  validateSearch: peopleSearch,
  component: lazyRouteComponent(() => import('./users-page.tsx'), 'UsersPage')
})

export const userRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'users/$id',
  component: lazyRouteComponent(() => import('./user-page.tsx'), 'UserPage')
})

export const invitesRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'invites',
  validateSearch: peopleSearch,
  component: lazyRouteComponent(() => import('./invites-page.tsx'), 'InvitesPage')
})

export const rolesRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'roles',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./roles-page.tsx'), 'RolesPage')
})

export const newRoleRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'roles/new',
  validateSearch: (search): { like?: string } => ({ like: text(search['like']) }),
  component: lazyRouteComponent(() => import('./new-role-page.tsx'), 'NewRolePage')
})

export const roleRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'roles/$id',
  component: lazyRouteComponent(() => import('./role-page.tsx'), 'RolePage')
})

export const peopleRoutes = [usersRoute, userRoute, invitesRoute, rolesRoute, newRoleRoute, roleRoute] as const
