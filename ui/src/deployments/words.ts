import type { DataOf } from '../app/api.ts'
import type { Tone } from '../components/badge.tsx'

export type Deployment = DataOf<'/api/deployments/{id}'>
export type Item = Deployment['items'][number]
export type Check = Item['checks'][number]
export type Status = Deployment['status']

export const statuses = [
  'open',
  'approved',
  'applied',
  'rolled_back',
  'rejected'
] as const satisfies readonly Status[]
export const statusWords: Record<Status, string> = {
  open: 'open',
  approved: 'approved',
  applied: 'applied',
  rolled_back: 'rolled back',
  rejected: 'rejected'
}
export const statusTones: Record<Status, Tone> = {
  open: 'info',
  approved: 'ok',
  applied: 'ok',
  rolled_back: 'warning',
  rejected: 'neutral'
}

export const kindWords = { topic: 'Topic', schema: 'Schema', mapping: 'Mapping' } as const

export const targetOf = (source: 'development' | 'staging'): 'staging' | 'production' =>
  source === 'development' ? 'staging' : 'production'

export const isPending = (status: Status): boolean => status === 'open' || status === 'approved'

/** All checks of a deployment: of its items, and its own. */
export const checksOf = ({ items, checks }: Deployment): Check[] => [...items.flatMap(item => item.checks), ...checks]
