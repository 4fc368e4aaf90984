import { LRUCache } from 'lru-cache'
import { isTopicPattern, TopicPatterns } from '../../foundation/topic-pattern.ts'

/** Resources that belong to one application and environment; see the scope rules of docs/PROTOCOL.md. */
const entityResources = [
  'topics', 'schemas', 'mappings', 'documents', 'services', 'socket', 'webhooks', 'debugger', 'events', 'alerts',
  'metrics', 'consumers', 'access'
] as const
/** Resources that belong to an application as a whole, or to the platform. */
const globalResources = [
  'applications', 'deployments', 'api-keys', 'users', 'roles', 'invites', 'keys', 'tokens', 'audit'
] as const
export const resources = [...entityResources, ...globalResources] as const
export const actions = ['create', 'read', 'update', 'delete'] as const

export type Resource = typeof resources[number]
export type Action = typeof actions[number]
export type PermissionName = `${Resource}:${Action}`

export const permissionNames: readonly PermissionName[] = resources.flatMap(resource =>
  actions.map(action => `${resource}:${action}` as const)
)
const knownNames: ReadonlySet<string> = new Set(permissionNames)

export const isPermissionName = (text: string): text is PermissionName => knownNames.has(text)

const all = (...of: Resource[]): PermissionName[] =>
  of.flatMap(resource => actions.map(action => `${resource}:${action}` as const))
const entityNames: ReadonlySet<PermissionName> = new Set(all(...entityResources))

/** Returns whether a route with this permission requires an application and an environment. */
export const isEntityOwning = (permission: PermissionName): boolean => entityNames.has(permission)

/**
 * Permissions that a role for one application does not grant, because they affect all applications. For users and the
 * audit log, such a role grants access to the part that belongs to the application.
 */
const beyondApplications: ReadonlySet<PermissionName> = new Set([
  ...all('keys'),
  'roles:create',
  'roles:update',
  'roles:delete',
  'applications:create'
])
/**
 * Permissions that no API key has. The user, role or invite that it leaves behind would let its bearer log in after the
 * key has ended.
 */
const beyondApiKeys: ReadonlySet<PermissionName> = new Set(
  all('users', 'roles', 'invites').filter(name => !name.endsWith(':read'))
)
/** Permissions that a pinned token keeps. */
const withinEnvironment: ReadonlySet<PermissionName> = new Set([...entityNames, 'applications:read', 'tokens:create'])

/** The levels that a token may have. */
const levels: Readonly<Record<string, readonly PermissionName[]>> = {
  admin: permissionNames,
  service: [
    'topics:read',
    'schemas:read',
    'services:read',
    'events:read',
    'events:create',
    ...all('documents'),
    'socket:read',
    'socket:create',
    'tokens:create'
  ],
  client: ['events:read', 'documents:read']
}

const viewer: readonly PermissionName[] = [
  ...entityResources.map(resource => `${resource}:read` as const),
  'deployments:read',
  'users:read',
  'applications:read'
]

/** The built-in roles. Their rows in the database list the same permissions for readers; this table decides. */
const builtInRoles: Readonly<Record<string, readonly PermissionName[]>> = {
  super_admin: permissionNames,
  admin: [
    ...entityNames,
    ...all('deployments', 'api-keys', 'users', 'roles', 'invites', 'tokens'),
    'applications:create',
    'applications:read',
    'applications:update',
    'keys:read',
    'audit:read'
  ],
  editor: [
    ...viewer,
    ...all('topics', 'schemas', 'mappings', 'webhooks', 'documents', 'services', 'consumers'),
    'events:create',
    'deployments:create',
    'deployments:update'
  ],
  viewer
}

/**
 * A parsed set of permissions. `events:read` and `events:create` apply to topics: to all of them (`events:read`), or to
 * those that match the patterns of the verbs (`subscribe:order.*`).
 */
export class PermissionSet {
  static readonly none = new PermissionSet(new Set(), TopicPatterns.none, TopicPatterns.none)

  readonly #names: ReadonlySet<PermissionName>
  readonly subscribe: TopicPatterns
  readonly publish: TopicPatterns

  constructor (names: ReadonlySet<PermissionName>, subscribe: TopicPatterns, publish: TopicPatterns) {
    this.#names = names
    this.subscribe = names.has('events:read') ? TopicPatterns.all : subscribe
    this.publish = names.has('events:create') ? TopicPatterns.all : publish
  }

  static of (names: Iterable<PermissionName>): PermissionSet {
    return new PermissionSet(new Set(names), TopicPatterns.none, TopicPatterns.none)
  }

  /**
   * Returns whether the permission is in the set; for `events:read` and `events:create`, whether it is for at least one
   * topic.
   */
  allows (permission: PermissionName): boolean {
    return this.#names.has(permission) ||
      (permission === 'events:read' && !this.subscribe.isEmpty) ||
      (permission === 'events:create' && !this.publish.isEmpty)
  }

  /**
   * Returns whether this set includes the other one. It compares patterns one by one: several patterns that cover
   * another one only together do not count.
   */
  covers (other: PermissionSet): boolean {
    for (const name of other.#names) {
      const isHeld = this.#names.has(name) || (name === 'events:read' && this.subscribe.isAll) ||
        (name === 'events:create' && this.publish.isAll)
      if (!isHeld) return false
    }
    return other.subscribe.patterns.every(pattern => this.subscribe.covers(pattern)) &&
      other.publish.patterns.every(pattern => this.publish.covers(pattern))
  }

  union (other: PermissionSet): PermissionSet {
    return new PermissionSet(
      new Set([...this.#names, ...other.#names]), this.subscribe.union(other.subscribe),
      this.publish.union(other.publish)
    )
  }

  /** Returns what both sets include; see `TopicPatterns.intersection` for patterns that overlap. */
  intersection (other: PermissionSet): PermissionSet {
    return new PermissionSet(
      new Set([...this.#names].filter(name => other.#names.has(name))), this.subscribe.intersection(other.subscribe),
      this.publish.intersection(other.publish)
    )
  }

  get isEmpty (): boolean {
    return this.#names.size === 0 && this.subscribe.isEmpty && this.publish.isEmpty
  }

  /** Returns the set as strings, in the form of a token's `permissions`. */
  toStrings (): string[] {
    const verbs = (verb: string, name: PermissionName, topics: TopicPatterns) =>
      this.#names.has(name) ? [] : topics.isAll ? [verb] : topics.patterns.map(pattern => `${verb}:${pattern}`)
    return [
      ...permissionNames.filter(name => this.#names.has(name)),
      ...verbs('subscribe', 'events:read', this.subscribe),
      ...verbs('publish', 'events:create', this.publish)
    ]
  }

  /** Returns the `resource:action` pairs. */
  toPairs (): { resource: Resource, action: Action }[] {
    return permissionNames.filter(name => this.#names.has(name)).map(name => {
      const [resource, action] = name.split(':') as [Resource, Action]
      return { resource, action }
    })
  }

  /** Returns the part that a role for one application grants. */
  withinApplication (): PermissionSet {
    return this.#without(name => beyondApplications.has(name))
  }

  /** Returns the part that an API key may have. */
  withinApiKey (): PermissionSet {
    return this.#without(name => beyondApiKeys.has(name))
  }

  /** Returns the part that a pinned token keeps. */
  withinEnvironment (): PermissionSet {
    return this.#without(name => !withinEnvironment.has(name))
  }

  #without (isDropped: (name: PermissionName) => boolean): PermissionSet {
    return new PermissionSet(new Set([...this.#names].filter(name => !isDropped(name))), this.subscribe, this.publish)
  }
}

const none: ReadonlySet<PermissionName> = new Set()

/** Parses a level, a verb, a verb with a topic pattern, or `resource:action`. Returns undefined for anything else. */
export function parsePermission (text: string): PermissionSet | undefined {
  if (isPermissionName(text)) return PermissionSet.of([text])
  if (Object.hasOwn(levels, text)) return PermissionSet.of(levels[text] ?? [])
  const colon = text.indexOf(':')
  const verb = colon === -1 ? text : text.slice(0, colon)
  const pattern = colon === -1 ? '**' : text.slice(colon + 1)
  if (!isTopicPattern(pattern)) return undefined
  if (verb === 'subscribe') return new PermissionSet(none, new TopicPatterns([pattern]), TopicPatterns.none)
  if (verb === 'publish') return new PermissionSet(none, TopicPatterns.none, new TopicPatterns([pattern]))
  return undefined
}

/** Most tokens of an application carry one of a few lists, so their sets are shared. */
const parsedLists = new LRUCache<string, PermissionSet>({ max: 1000 })

/** Parses the list of a token. An unknown string grants nothing. */
export function parsePermissions (list: readonly string[]): PermissionSet {
  const key = list.join('\n')
  let set = parsedLists.get(key)
  if (set === undefined) {
    set = list.map(text => parsePermission(text) ?? PermissionSet.none).reduce(
      (union, next) => union.union(next), PermissionSet.none
    )
    parsedLists.set(key, set)
  }
  return set
}

const builtInSets = new Map(Object.entries(builtInRoles).map(([name, names]) => [name, PermissionSet.of(names)]))

/** Returns the permissions of a role: of a built-in one by its name, of any other from its pairs. */
export function permissionsOfRole (
  role: { name: string, isBuiltIn: boolean, permissions: readonly { resource: string, action: string }[] }
): PermissionSet {
  if (role.isBuiltIn) return builtInSets.get(role.name) ?? PermissionSet.none
  return PermissionSet.of(
    role.permissions.map(({ resource, action }) => `${resource}:${action}`).filter(isPermissionName)
  )
}

/** The permissions that a `service` token may grant. */
export const clientPermissions = parsePermissions(['client'])
