import type { DataOf } from '../app/api.ts'
import { mayIn, useMe } from '../app/me.ts'
import { useGlobal, type ItemOf } from '../app/queries.ts'

export type User = ItemOf<DataOf<'/api/users'>>
export type Role = ItemOf<DataOf<'/api/roles'>>
export type Invite = ItemOf<DataOf<'/api/invites'>>

/** Returns a function that names an application; null is the whole platform. */
export function usePlaceName (): (applicationId: string | null) => string {
  const applications = useApplications()
  return id => (id === null ? 'everywhere' : (applications.find(application => application.id === id)?.name ?? id))
}

/** Returns the applications that the user may see. */
export const useApplications = () =>
  useGlobal('/api/applications', { query: { limit: 1000, sort: 'name' } }, { staleTime: 30_000 }).data ?? []

export interface Reach {
  everywhere: (permission: string) => boolean
  in: (applicationId: string | null, permission: string) => boolean
  /** Whether the user has the permission in at least one application. */
  anywhere: (permission: string) => boolean
}

/** Returns where the user has a permission. Users, roles and invites belong to no application. */
export function useReach (): Reach {
  const me = useMe()
  return {
    everywhere: permission => me !== undefined && mayIn(me, null, permission),
    in: (applicationId, permission) => me !== undefined && mayIn(me, applicationId, permission),
    anywhere: permission =>
      me !== undefined &&
      [null, ...(me.roles ?? []).map(role => role.applicationId)].some(applicationId =>
        mayIn(me, applicationId, permission)
      )
  }
}
