import { Type, type Static } from '@sinclair/typebox'
import { Permission } from './auth.ts'
import { EnvironmentName, EpochMs, Nullable, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'

const Name = Text(100, {
  description: 'The purpose of the key. Names need not be unique.', examples: ['Nightly import']
})

const apiKey = {
  id: Type.String({ examples: ['apk_abc123'] }),
  name: Type.String({ examples: ['Nightly import'] }),
  prefix: Type.String({
    description: 'The first characters of the key, to recognise it by.', examples: ['rtk_4fK9sLq2']
  }),
  applicationId: Type.String({ examples: ['app_abc123'] }),
  environment: Nullable(EnvironmentName, {
    description: 'The environment to which the key is pinned; null for all.', examples: ['production']
  }),
  permissions: Type.Array(Type.String(), {
    description: 'The permissions that the key was created with. It has those of them that its creator still holds.',
    examples: [['subscribe', 'publish']]
  }),
  active: Type.Boolean({
    description:
      'Whether the key works. It does not once it has expired, or while its creator holds none of its permissions.',
    examples: [true]
  }),
  createdBy: Type.String({ description: 'The user who created the key.', examples: ['usr_abc123'] }),
  createdAt: EpochMs('When the key was created.'),
  expiresAt: Nullable(EpochMs('When the key expires; null for never.')),
  lastUsedAt: Nullable(
    EpochMs(
      'When the key was last used, within about a minute; null if it never was. An open socket counts as use.'
    )
  )
}

export const ApiKey = Type.Object(apiKey, { $id: 'ApiKey' })
export type ApiKey = Static<typeof ApiKey>

export const ApiKeyCreated = Type.Object({
  ...apiKey,
  key: Type.String({
    description: 'The key. It is returned only here: the server stores its hash.',
    examples: ['rtk_4fK9sLq27cTzGm1VbYxWnE8uRdPj5oHa3iQkMwBvXyZtSgLNfCr']
  })
}, { $id: 'ApiKeyCreated' })
export type ApiKeyCreated = Static<typeof ApiKeyCreated>

export const ApiKeyCreate = Type.Object({
  name: Name,
  permissions: Type.Array(Permission, {
    minItems: 1,
    maxItems: 100,
    description:
      'Permissions in the form of a token. You cannot grant permissions that you do not hold, or permissions to ' +
      'create, change or delete users, roles or invites.',
    examples: [['subscribe', 'publish']]
  }),
  environment: Type.Optional(EnvironmentName),
  expiresAt: Type.Optional(Type.Integer({
    minimum: 0,
    maximum: 253_402_300_799_999,
    description: 'When the key expires. Epoch milliseconds, in the future. Without it, the key does not expire.',
    examples: [4102444800000]
  }))
}, { $id: 'ApiKeyCreate', additionalProperties: false })
export type ApiKeyCreate = Static<typeof ApiKeyCreate>

export const ApiKeyPath = Type.Object({
  id: Type.String({
    minLength: 5, maxLength: 64, pattern: '^apk_[A-Za-z0-9_-]+$', description: 'Id of the API key.',
    examples: ['apk_abc123']
  })
})

export const apiKeyList = listShape('keys', {
  sorts: ['createdAt', 'name', 'expiresAt', 'lastUsedAt'], order: 'desc', search: ['name', 'prefix']
})
export const ApiKeyQuery = Type.Object({
  ...listFields(apiKeyList, 'import'),
  active: Type.Optional(Type.Boolean({ description: 'Only keys that work, or only those that do not.' })),
  environment: Type.Optional({ ...EnvironmentName, description: 'Only keys that are pinned to this environment.' })
}, { additionalProperties: false })
export type ApiKeyQuery = Static<typeof ApiKeyQuery>
