import { useEffect } from 'react'
import { useLive } from '../app/live.ts'
import { useMay } from '../app/me.ts'
import { invalidate } from '../app/queries.ts'

/** Reads the alerts again when one fires or is resolved. Without the permission for the topic, polling does it. */
export function useLiveAlerts (): void {
  const client = useLive()
  const mayRead = useMay()('events:read')
  useEffect(() => {
    if (!mayRead) return
    const read = () => {
      void invalidate('/api/alerts')
    }
    // Without a buffer for gaps: whatever was missed, the list is read as a whole.
    const subscription = client.topic('system.alert').subscribe(read, { onGap: read, onError: () => {} })
    return () => subscription.unsubscribe()
  }, [client, mayRead])
}
