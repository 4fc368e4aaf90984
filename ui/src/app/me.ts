import { queryClient } from './query-client.ts'
import { get, useGlobal } from './queries.ts'
import type { DataOf } from './api.ts'
import { useScope } from './scope.ts'

export type Me = DataOf<'/api/auth/me'>

export const meQuery = get(null, '/api/auth/me')

export const loadMe = (): Promise<Me> => queryClient.ensureQueryData({ ...meQuery, staleTime: 60_000 })

export const useMe = (): Me | undefined => useGlobal('/api/auth/me', undefined, { staleTime: 60_000 }).data

/** The applications in which the user has a role of its own. */
export const applicationsOf = (me: Me | undefined): string[] =>
  (me?.roles ?? []).flatMap(({ applicationId }) => applicationId ?? [])

/** Returns whether the user has a permission in an application, or for null, everywhere. */
export function mayIn (me: Me, applicationId: string | null, permission: string): boolean {
  const roles = me.roles ?? []
  return roles.some(
    role =>
      (role.applicationId === null || role.applicationId === applicationId) && allows(role.permissions, permission)
  )
}

/**
 * Returns a function that checks a permission of the user in the application of the page: `may('topics:create')`. The
 * server decides in any case; this hides what it would refuse.
 */
export function useMay (): (permission: string) => boolean {
  const me = useMe()
  const applicationId = useScope()?.applicationId ?? null
  return permission => me !== undefined && mayIn(me, applicationId, permission)
}

function allows (held: readonly string[], permission: string): boolean {
  const [resource] = permission.split(':')
  return held.some(one => one === '*' || one === '*:*' || one === permission || one === `${resource}:*`)
}
