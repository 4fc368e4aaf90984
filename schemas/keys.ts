import { Type, type Static } from '@sinclair/typebox'
import { Enum, EpochMs, Nullable } from './common.ts'

const Algorithm = Enum('SigningAlgorithm', ['HS256', 'ES256', 'EdDSA'], {
  description: 'HS256 is a shared secret; tokens of the other two can be verified by whoever has the JWKS.',
  examples: ['HS256']
})

const key = {
  keyId: Type.String({ description: 'The `kid` of its tokens.', examples: ['key_abc123'] }),
  algorithm: Algorithm,
  active: Type.Boolean({ description: 'Whether it signs; the newest active key does.', examples: [true] }),
  createdAt: EpochMs('When it was created.'),
  deactivatedAt: Nullable(EpochMs('When it signed no more.')),
  publicKey: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'As in the JWKS; HS256 has none.',
      examples: [{
        kty: 'OKP', crv: 'Ed25519', x: 'YKVd0tIhxYzXHXVLBcm5DBFrZ1o1NXO3dVOcP6b0UmE', kid: 'key_abc123', alg: 'EdDSA',
        use: 'sig'
      }]
    })
  )
}

export const SigningKeyInfo = Type.Object(key, { $id: 'SigningKey' })
export type SigningKeyInfo = Static<typeof SigningKeyInfo>

export const KeyCreate = Type.Object({ algorithm: Type.Optional(Algorithm) }, {
  $id: 'KeyCreate', additionalProperties: false, examples: [{ algorithm: 'EdDSA' }]
})

export const KeyCreated = Type.Object({
  ...key,
  secret: Type.Optional(
    Type.String({
      description:
        'Of an HS256 key, in base64url, this once, and to a session that holds everything everywhere; a token does ' +
          'not get it. A private key is never shown.',
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
