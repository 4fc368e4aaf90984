import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { integer, listSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

interface VersionsSearch {
  /** The version that is shown. Default: the active one, or the latest. */
  version?: number | undefined
  /** The version that it is compared with. */
  against?: number | undefined
}

interface EditorSearch {
  /** The version that the editor starts from. Default: the active one. */
  from?: number | undefined
}

interface ValidateSearch {
  /** The version that payloads are checked against. Default: the active one. */
  version?: number | undefined
}

export const schemasRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'schemas',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('./schemas-page.tsx'), 'SchemasPage')
})

/** The types of all topics. No topic has a name that begins with an underscore. */
export const typesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'schemas/_types',
  component: lazyRouteComponent(() => import('./types-page.tsx'), 'TypesPage')
})

export const versionsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'schemas/$topic',
  validateSearch: (search: Record<string, unknown>): VersionsSearch => ({
    version: integer(search['version']),
    against: integer(search['against'])
  }),
  component: lazyRouteComponent(() => import('./versions-page.tsx'), 'VersionsPage')
})

export const editorRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'schemas/$topic/editor',
  validateSearch: (search: Record<string, unknown>): EditorSearch => ({ from: integer(search['from']) }),
  component: lazyRouteComponent(() => import('./editor-page.tsx'), 'EditorPage')
})

export const validateRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'schemas/$topic/validate',
  validateSearch: (search: Record<string, unknown>): ValidateSearch => ({ version: integer(search['version']) }),
  component: lazyRouteComponent(() => import('./validate-page.tsx'), 'ValidatePage')
})

export const topicTypesRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'schemas/$topic/types',
  component: lazyRouteComponent(() => import('./types-page.tsx'), 'TopicTypesPage')
})

export const schemaRoutes = [
  schemasRoute,
  typesRoute,
  versionsRoute,
  editorRoute,
  validateRoute,
  topicTypesRoute
] as const
