import { sql, type Kysely } from 'kysely'

/**
 * Renames the permissions `database:*` to `mappings:*` and `sync:*` to `documents:*` wherever they are stored: in
 * roles, in the grants of invites and in the readers of webhooks. Invites and metrics have permissions of their own
 * from here on, so a holder of `users:*` receives the same `invites:*`, and a holder of `debugger:read` receives
 * `metrics:read`. The built-in roles are rewritten.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql`
    update roles set permissions = (
      select coalesce(jsonb_agg(distinct jsonb_build_object('resource', resource, 'action', pair ->> 'action')), '[]')
      from jsonb_array_elements(permissions) as pair
      cross join lateral unnest(${resourcesOf(sql`pair ->> 'resource'`, sql`pair ->> 'action'`)}) as resource
    )
    where not built_in
  `.execute(db)
  await sql`
    update invites set given = array(select distinct name from ${renamed(sql`unnest(given)`)})
    where given is not null
  `.execute(db)
  await sql`
    update webhooks set reader = jsonb_set(reader, '{permissions}', (
      select coalesce(jsonb_agg(distinct name), '[]')
      from ${renamed(sql`jsonb_array_elements_text(reader -> 'permissions')`)}
    ))
    where reader ? 'permissions'
  `.execute(db)
  for (const [id, permissions] of Object.entries(builtInRoles)) {
    await sql`update roles set permissions = ${JSON.stringify(permissions)}::jsonb where id = ${id}`.execute(db)
  }
}

type Text = ReturnType<typeof sql>

/** Returns the resources that a stored pair stands for. */
const resourcesOf = (resource: Text, action: Text) => sql`
  case
    when ${resource} = 'database' then array['mappings']
    when ${resource} = 'sync' then array['documents']
    when ${resource} = 'users' then array['users', 'invites']
    when ${resource} = 'debugger' and ${action} = 'read' then array['debugger', 'metrics']
    else array[${resource}]
  end`

/** Returns stored strings with new names. Levels, `subscribe:…` and `publish:…` stay as they are. */
const renamed = (texts: Text) => sql`
  (
    select case
      when text ~ '^[a-z]+:(create|read|update|delete)$' and text !~ '^(subscribe|publish):'
      then resource || ':' || split_part(text, ':', 2)
      else text
    end as name
    from ${texts} as text
    cross join lateral unnest(${resourcesOf(sql`split_part(text, ':', 1)`, sql`split_part(text, ':', 2)`)}) as resource
  ) as names`

const actions = ['create', 'read', 'update', 'delete']
const entities = [
  'topics', 'schemas', 'mappings', 'documents', 'services', 'socket', 'webhooks', 'debugger', 'events', 'alerts',
  'metrics', 'consumers', 'access'
]
const globals = ['applications', 'deployments', 'api-keys', 'users', 'roles', 'invites', 'keys', 'tokens', 'audit']
const pairs = (resources: string[], allowed = actions) =>
  resources.flatMap(resource => allowed.map(action => ({ resource, action })))
const viewer = pairs([...entities, 'deployments', 'users', 'applications'], ['read'])
const written = ['topics', 'schemas', 'mappings', 'documents', 'services', 'webhooks', 'consumers']

/**
 * The built-in roles at this version; test/identity/access/permissions.test.ts compares them with
 * src/identity/access/permission-set.ts.
 */
const builtInRoles = {
  role_super_admin: pairs([...entities, ...globals]),
  role_admin: [
    ...pairs([...entities, 'deployments', 'api-keys', 'users', 'roles', 'invites', 'tokens']),
    ...pairs(['applications'], ['create', 'read', 'update']),
    ...pairs(['keys', 'audit'], ['read'])
  ],
  role_editor: [
    ...viewer,
    ...pairs(written, ['create', 'update', 'delete']),
    ...pairs(['events'], ['create']),
    ...pairs(['deployments'], ['create', 'update'])
  ],
  role_viewer: viewer
}
