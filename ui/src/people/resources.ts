/* The permissions of the platform. `npm test` compares them with those of the OpenAPI document. */

export const actions = ['create', 'read', 'update', 'delete'] as const
export type Action = (typeof actions)[number]

/** The resources, with a word about each, in the groups of the navigation. */
export const resourceGroups = [
  {
    label: 'Events',
    resources: {
      topics: 'Topics and their settings',
      schemas: 'Schemas of payloads, and their versions',
      events: 'Events of topics: publish and read',
      debugger: 'Traces, explanations, replays',
      consumers: 'Positions of named consumers'
    }
  },
  {
    label: 'Data',
    resources: {
      mappings: 'Database connections and mappings',
      services: 'Services of documents',
      documents: 'Documents and their history'
    }
  },
  { label: 'Realtime', resources: { socket: 'Channels, connections and broadcasts' } },
  { label: 'Webhooks', resources: { webhooks: 'Endpoints and deliveries' } },
  {
    label: 'Operations',
    resources: {
      metrics: 'Figures and series',
      alerts: 'Alerts and their rules',
      deployments: 'Changes from one environment to another',
      access: 'The log of subscriptions and joins'
    }
  },
  {
    label: 'Administration',
    resources: {
      applications: 'Applications, quotas and usage',
      users: 'Users and their roles',
      roles: 'Roles and their permissions',
      invites: 'Invites of users',
      keys: 'Signing keys of tokens',
      'api-keys': 'API keys of programs',
      tokens: 'Tokens: issue and verify',
      audit: 'The audit log'
    }
  }
] as const

type Groups = (typeof resourceGroups)[number]['resources']
type KeysOf<Group> = Group extends object ? keyof Group : never
export type Resource = KeysOf<Groups>
export interface Permission {
  resource: Resource
  action: Action
}

export const nameOf = ({ resource, action }: Permission): string => `${resource}:${action}`

const allResources = resourceGroups.flatMap(({ resources }) => Object.keys(resources) as Resource[])
export const allPermissions: readonly Permission[] = allResources.flatMap(resource =>
  actions.map(action => ({ resource, action }))
)
