import { Type, type Static } from '@sinclair/typebox'
import { Enum, EpochMs, Nullable } from './common.ts'
import { listFields, listShape } from './lists.ts'

const Algorithm = Enum('SigningAlgorithm', ['HS256', 'ES256', 'EdDSA'], {
  description: 'HS256 uses a shared secret. Tokens of the other algorithms can be verified with the JWKS.',
  examples: ['HS256']
})

const key = {
  keyId: Type.String({ description: 'The `kid` of the tokens that it signs.', examples: ['key_abc123'] }),
  algorithm: Algorithm,
  active: Type.Boolean({ description: 'Whether the key is active. The newest active key signs.', examples: [true] }),
  createdAt: EpochMs('When it was created.'),
  deactivatedAt: Nullable(EpochMs('When it was deactivated.')),
  publicKey: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'The public key as in the JWKS. HS256 keys have none.',
      examples: [{
        kty: 'OKP', crv: 'Ed25519', x: 'YKVd0tIhxYzXHXVLBcm5DBFrZ1o1NXO3dVOcP6b0UmE', kid: 'key_abc123', alg: 'EdDSA',
        use: 'sig'
      }]
    })
  )
}

export const SigningKeyInfo = Type.Object(key, { $id: 'SigningKey' })
export type SigningKeyInfo = Static<typeof SigningKeyInfo>

export const keyList = listShape('keys', {
  sorts: ['createdAt', 'deactivatedAt'], order: 'desc', search: ['keyId', 'algorithm']
})
export const KeyQuery = Type.Object({
  ...listFields(keyList, 'EdDSA'),
  active: Type.Optional(Type.Boolean({ description: 'Only active keys, or only deactivated ones.' }))
}, { additionalProperties: false })
export type KeyQuery = Static<typeof KeyQuery>

export const KeyCreate = Type.Object({ algorithm: Type.Optional(Algorithm) }, {
  $id: 'KeyCreate', additionalProperties: false, examples: [{ algorithm: 'EdDSA' }]
})

export const KeyCreated = Type.Object({
  ...key,
  secret: Type.Optional(
    Type.String({
      description:
        'The secret of an HS256 key in base64url. It is returned once, and only to a session that holds all ' +
          'permissions everywhere. Private keys are never returned.',
      examples: ['c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI']
    })
  )
}, { $id: 'SigningKeyCreated' })
export type KeyCreated = Static<typeof KeyCreated>

export const KeyPath = Type.Object({
  id: Type.String({
    minLength: 1, maxLength: 100, pattern: '^[A-Za-z0-9_-]+$', description: 'The key.', examples: ['key_abc123']
  })
})

export const Jwks = Type.Object({
  keys: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
    examples: [[{
      kty: 'OKP', crv: 'Ed25519', x: 'YKVd0tIhxYzXHXVLBcm5DBFrZ1o1NXO3dVOcP6b0UmE', kid: 'key_abc123', alg: 'EdDSA',
      use: 'sig'
    }]]
  })
}, { $id: 'Jwks' })
