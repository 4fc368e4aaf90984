/* The permissions that a token or an API key is created with (docs/AUTH.md). */

export const levels = ['client', 'service', 'admin', 'chosen'] as const
export type Level = (typeof levels)[number]

export interface Grant {
  level: Level
  /** `topics:read`, where the level is `chosen`. */
  permissions: readonly string[]
  /** Patterns of topics, separated by spaces: `order.* chat.**`. Empty: none, `**`: all. */
  subscribe: string
  publish: string
}

export const emptyGrant: Grant = { level: 'client', permissions: [], subscribe: '', publish: '' }

/** Resources of an application that a credential can have permissions for, with the actions that exist. */
export const resources = [
  'topics',
  'schemas',
  'events',
  'mappings',
  'documents',
  'services',
  'socket',
  'webhooks',
  'debugger',
  'alerts',
  'metrics',
  'applications',
  'deployments',
  'api-keys',
  'users',
  'roles',
  'invites',
  'tokens',
  'audit'
] as const
export const actions = ['read', 'create', 'update', 'delete'] as const

/** Returns the permissions as the API takes them. */
export function permissionsOf ({ level, permissions, subscribe, publish }: Grant): string[] {
  if (level !== 'chosen') return [level]
  return [...permissions, ...verbs('subscribe', subscribe), ...verbs('publish', publish)]
}

function verbs (verb: string, patterns: string): string[] {
  const list = patterns.split(/[\s,]+/).filter(pattern => pattern !== '')
  return list.includes('**') ? [verb] : list.map(pattern => `${verb}:${pattern}`)
}
