import type { RealtimeError } from '@realtime-platform/client'
import { applicationsOf, useMe } from './me.ts'
import { useGlobal } from './queries.ts'

interface Application {
  id: string
  name: string
}

interface Applications {
  data: Application[] | undefined
  error: RealtimeError | null
  refetch: () => unknown
}

/**
 * The applications that a person may choose from. Without `applications:read` these are the ones of the roles, by their
 * ids.
 */
export function useApplications (): Applications {
  const me = useMe()
  const { data, error, refetch } = useGlobal('/api/applications', undefined, { staleTime: 30_000 })
  if (error?.status !== 403) return { data, error, refetch }
  return { data: [...new Set(applicationsOf(me))].map(id => ({ id, name: id })), error: null, refetch }
}
