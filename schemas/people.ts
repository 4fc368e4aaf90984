import { Type, type Static } from '@sinclair/typebox'
import { ApplicationId } from './applications.ts'
import { CurrentPassword, Email, Password } from './auth.ts'
import { Enum, EpochMs, Nullable, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'

const Id = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: 100, pattern: '^[A-Za-z0-9_-]+$', description, examples: [example] })
const Application = Nullable(Type.String(), {
  description: 'The application that the role applies to; null for everywhere.', examples: ['app_abc123']
})

export const RoleGrant = Type.Object({
  roleId: Id('The role.', 'role_viewer'),
  applicationId: Type.Optional(
    Type.String({ ...ApplicationId, description: 'The application that the role applies to. Omit it for everywhere.' })
  )
}, { $id: 'RoleGrant', additionalProperties: false })
export type RoleGrant = Static<typeof RoleGrant>

export const Account = Type.Object({
  id: Type.String({ examples: ['usr_abc123'] }),
  email: Type.String({ examples: ['ada@example.com'] }),
  name: Type.String({ examples: ['Ada'] }),
  mfaEnabled: Nullable(Type.Boolean(), {
    description:
      'Whether logins require a code. Null for callers who may not change the user, because it shows whose password ' +
        'is enough.',
    examples: [false]
  }),
  roles: Type.Array(
    Type.Object({
      roleId: Type.String({ examples: ['role_viewer'] }), name: Type.String({ examples: ['viewer'] }),
      applicationId: Application
    }),
    { description: 'The roles that the caller may see.' }
  ),
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When it was last changed.')
}, { $id: 'Account', description: 'A user.' })
export type Account = Static<typeof Account>

export const AccountCreate = Type.Object({
  name: Text(200, { examples: ['Grace'] }),
  email: Type.String({ ...Email, examples: ['grace@example.com'] }),
  password: Password,
  roles: Type.Optional(Type.Array(Type.Unsafe<RoleGrant>({ $ref: 'RoleGrant#' }), { maxItems: 100 }))
}, { $id: 'AccountCreate', additionalProperties: false })
export type AccountCreate = Static<typeof AccountCreate>

export const AccountUpdate = Type.Object({
  name: Type.Optional(Text(200)), email: Type.Optional(Email), currentPassword: Type.Optional(CurrentPassword)
}, { $id: 'AccountUpdate', additionalProperties: false, minProperties: 1, examples: [{ name: 'Grace' }] })
export type AccountUpdate = Static<typeof AccountUpdate>

export const accountList = listShape('users', {
  sorts: ['createdAt', 'name', 'email'], order: 'asc', search: ['name', 'email']
})
export const AccountQuery = Type.Object({
  ...listFields(accountList, 'grace'),
  email: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 254, pattern: '^[^\\u0000]*$', description: 'Only the user with this address.',
      examples: ['grace@example.com']
    })
  ),
  applicationId: Type.Optional(
    Type.String({ ...ApplicationId, description: 'Only users who have a role for this application.' })
  ),
  roleId: Type.Optional({
    ...Id('The role.', 'role_viewer'),
    description: 'Only users who have this role; with `applicationId`, those who have it for that application.'
  })
}, { additionalProperties: false })
export type AccountQuery = Static<typeof AccountQuery>

export const AccountPath = Type.Object({ id: Id('The user.', 'usr_abc123') })
export const AccountRolePath = Type.Object({
  id: Id('The user.', 'usr_abc123'), roleId: Id('The role.', 'role_viewer')
})
export const RoleUnassign = Type.Object({
  applicationId: Type.Optional(
    Type.String({
      ...ApplicationId,
      description: 'The application to remove the role for. Omit it to remove the role everywhere.'
    })
  )
}, { additionalProperties: false })

export const PasswordChange = Type.Object({
  currentPassword: Type.Optional(CurrentPassword),
  newPassword: Type.String({ ...Password, examples: ['another long pass phrase'] }),
  revokeApiKeys: Type.Optional(Type.Boolean({
    description:
      'Whether the API keys of the user end as well. Defaults to false for your own password, and to true for that ' +
        'of another user.',
    examples: [false]
  }))
}, { $id: 'PasswordChange', additionalProperties: false })

export const RolePermission = Type.Object({
  resource: Enum('PermissionResource', [
    'topics',
    'schemas',
    'mappings',
    'documents',
    'services',
    'socket',
    'webhooks',
    'debugger',
    'events',
    'alerts',
    'metrics',
    'consumers',
    'access',
    'applications',
    'deployments',
    'api-keys',
    'users',
    'roles',
    'invites',
    'keys',
    'tokens',
    'audit'
  ], { examples: ['topics'] }),
  action: Enum('PermissionAction', ['create', 'read', 'update', 'delete'], { examples: ['read'] })
}, { $id: 'RolePermission', additionalProperties: false })

const Permissions = Type.Array(Type.Unsafe<Static<typeof RolePermission>>({ $ref: 'RolePermission#' }), {
  maxItems: 100, examples: [[{ resource: 'topics', action: 'read' }]]
})
const RoleName = Type.String({
  minLength: 1, maxLength: 64, pattern: '^[a-z][a-z0-9_-]*$', description: 'Unique, in lower case.',
  examples: ['auditor']
})
const Description = Type.String({ maxLength: 2000, pattern: '^[^\\u0000]*$', examples: ['Reads everything'] })

export const Role = Type.Object({
  id: Type.String({ examples: ['role_abc123'] }),
  name: RoleName,
  description: Description,
  builtIn: Type.Boolean({
    description: 'Whether the role is built in. Built-in roles cannot be changed.', examples: [false]
  }),
  permissions: Permissions,
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When it was last changed.')
}, { $id: 'Role' })
export type Role = Static<typeof Role>

export const roleList = listShape('roles', {
  sorts: ['name', 'createdAt', 'updatedAt'], order: 'asc', search: ['name', 'description']
})
export const RoleQuery = Type.Object({
  ...listFields(roleList, 'support'),
  builtIn: Type.Optional(Type.Boolean({ description: 'Only built-in roles, or only others.' }))
}, { additionalProperties: false })
export type RoleQuery = Static<typeof RoleQuery>

export const RoleCreate = Type.Object({
  name: RoleName, description: Type.Optional(Description), permissions: Permissions
}, { $id: 'RoleCreate', additionalProperties: false })
export type RoleCreate = Static<typeof RoleCreate>

export const RoleUpdate = Type.Object({
  name: Type.Optional(RoleName),
  description: Type.Optional(Description),
  permissions: Type.Optional(Permissions)
}, {
  $id: 'RoleUpdate', additionalProperties: false, minProperties: 1, examples: [{ description: 'Reads everything' }]
})
export type RoleUpdate = Static<typeof RoleUpdate>

export const RolePath = Type.Object({ id: Id('The role.', 'role_abc123') })

const invite = {
  id: Type.String({ examples: ['inv_abc123'] }),
  email: Type.String({ examples: ['grace@example.com'] }),
  roleId: Type.String({ examples: ['role_viewer'] }),
  role: Type.String({ description: 'The name of the role.', examples: ['viewer'] }),
  applicationId: Application,
  invitedBy: Nullable(Type.String(), {
    description: 'The user who sent the invite; null if it was sent with a token.', examples: ['usr_abc123']
  }),
  createdAt: EpochMs('When it was sent.'),
  expiresAt: EpochMs('When the invite expires.')
}
export const Invite = Type.Object(invite, { $id: 'Invite' })
export type Invite = Static<typeof Invite>

export const inviteList = listShape('invites', {
  sorts: ['createdAt', 'email', 'expiresAt'], order: 'asc', search: ['email', 'role']
})
export const InviteQuery = Type.Object({
  ...listFields(inviteList, 'grace'),
  applicationId: Type.Optional(
    Type.String({ ...ApplicationId, description: 'Only invites to this application.' })
  ),
  roleId: Type.Optional({ ...Id('The role.', 'role_viewer'), description: 'Only invites to this role.' })
}, { additionalProperties: false })
export type InviteQuery = Static<typeof InviteQuery>

export const InviteCreate = Type.Object({
  email: Type.String({ ...Email, examples: ['grace@example.com'] }),
  roleId: Id('The role that the invite grants.', 'role_viewer'),
  applicationId: Type.Optional(
    Type.String({
      ...ApplicationId,
      description: 'The application that the role applies to. Omit it for everywhere.'
    })
  )
}, { $id: 'InviteCreate', additionalProperties: false })
export type InviteCreate = Static<typeof InviteCreate>

export const InviteCreated = Type.Object({
  ...invite,
  token: Type.Optional(
    Type.String({
      description:
        'The token for `POST /api/auth/accept-invite`. It is mailed, and returned here only to callers with ' +
          '`users:create` everywhere, or if no mail is configured.',
      examples: ['invite_9a8b7c6d']
    })
  ),
  url: Type.Optional(
    Type.String({
      description: 'The link in the mail; returned with the token.',
      examples: ['https://realtime.example.com/accept-invite#token=invite_9a8b7c6d']
    })
  )
}, { $id: 'InviteCreated' })
export type InviteCreated = Static<typeof InviteCreated>

export const InvitePath = Type.Object({ id: Id('The invite.', 'inv_abc123') })

export const InviteAccept = Type.Object({
  token: Type.String({
    minLength: 1, maxLength: 200, description: 'The token of the mail.', examples: ['invite_9a8b7c6d']
  }),
  name: Text(200, { description: 'The name of the new user. An existing user keeps their name.', examples: ['Grace'] }),
  password: Type.String({
    ...Password, description: 'The password of the new user, or the current password of an existing user.'
  })
}, { $id: 'InviteAccept', additionalProperties: false })
export type InviteAccept = Static<typeof InviteAccept>
