import type { DataOf } from '../app/api.ts'
import { mayIn, useMe } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { applicationRoute } from './routes.ts'

export type Application = DataOf<'/api/applications/{id}'>

/** Returns the application of the page, which the page has loaded. */
export function useApplication (): Application | undefined {
  const { id } = applicationRoute.useParams()
  return useGlobal('/api/applications/{id}', { path: { id } }).data
}

/** Returns whether the user has a permission in the application of the page. */
export function useMayInApplication (permission: string): boolean {
  const { id } = applicationRoute.useParams()
  const me = useMe()
  return me !== undefined && mayIn(me, id, permission)
}
