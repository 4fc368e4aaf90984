import type { RealtimeClient } from '@realtime-platform/client'
import { useEffect } from 'react'
import { Observed, useObserved } from '../app/observed.ts'

/** The connection of the page that is shown, for the badge in the bar above it. */
const shown = new Observed<RealtimeClient | null>(null)

export const useShownClient = (): RealtimeClient | null => useObserved(shown)

export function useLiveClient (client: RealtimeClient | null): void {
  useEffect(() => {
    shown.set(client)
    return () => shown.set(null)
  }, [client])
}
