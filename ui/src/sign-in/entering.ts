import { createAdminClient } from '@realtime-platform/client/admin'
import { useNavigate } from '@tanstack/react-router'
import { queryClient } from '../app/query-client.ts'
import { openSession } from '../app/session.ts'

/** The API for people without a session. It repeats nothing: a delay after wrong passwords is shown as a countdown. */
export const signInApi = createAdminClient({ url: location.origin, token: 'none', retries: 0 })

/** Returns a function that begins a session and shows the page that the reader came for. */
export function useEnter (): (sessionToken: string, options?: { isKept?: boolean; to?: string }) => Promise<void> {
  const navigate = useNavigate()
  return async (sessionToken, { isKept = false, to = '/' } = {}) => {
    queryClient.clear()
    openSession(sessionToken, { isKept })
    await navigate({ href: to, replace: true })
  }
}
