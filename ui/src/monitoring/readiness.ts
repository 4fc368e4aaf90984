import { useQuery } from '@tanstack/react-query'
import type { DataOf } from '../app/api.ts'
import type { Tone } from '../components/badge.tsx'

export type Readiness = DataOf<'/health/ready'>
export type ComponentState = Readiness['components'][string]

/** Reads the readiness of the node that answers. With 503, the body has the components as well. */
export const useReadiness = () =>
  useQuery({
    queryKey: ['/health/ready'],
    queryFn: async ({ signal }): Promise<Readiness> => {
      const response = await fetch('/health/ready', { signal })
      return (await response.json()) as Readiness
    },
    refetchInterval: 5000
  })

export const componentTones: Record<ComponentState['status'], Tone> = {
  ok: 'ok',
  degraded: 'warning',
  failed: 'critical'
}

const names: Record<string, string> = {
  database: 'Database of the platform',
  'event-writer': 'Event writer',
  memory: 'Memory',
  'webhook-dispatcher': 'Webhook dispatcher',
  cdc: 'Change capture',
  shutdown: 'Shutdown',
  redis: 'Redis',
  bus: 'Bus between nodes'
}
export const componentName = (name: string): string => names[name] ?? name
