import { Type, type Static } from '@sinclair/typebox'
import { ApplicationId } from './applications.ts'
import { Enum, EnvironmentName, EpochMs, Nullable, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'

export const Email = Type.String({ format: 'email', maxLength: 254, examples: ['ada@example.com'] })
export const Password = Type.String({
  minLength: 8, maxLength: 1024, description: 'At least 8 characters.', examples: ['correct horse battery staple']
})

/** The password of a user who changes how they log in. */
export const CurrentPassword = Type.String({
  maxLength: 1024, description:
    'Your current password. Required when you change your own account.', examples: ['correct horse battery staple']
})

/** `admin`, `subscribe`, `topics:read`, `subscribe:order.*`. */
export const Permission = Type.String({
  maxLength: 400,
  pattern: '^[a-z_-]+(:[a-z0-9_.*-]+)?$',
  description: 'A level, a verb, a verb with a topic pattern, or `resource:action`.',
  examples: ['subscribe']
})

export const TokenRequest = Type.Object({
  applicationId: ApplicationId,
  permissions: Type.Array(Permission, { minItems: 1, maxItems: 100, examples: [['subscribe', 'publish']] }),
  subject: Type.Optional(
    Text(255, {
      description:
      'The `sub` of the token. Defaults to the subject or user of the caller.', examples: ['user-17']
    })
  ),
  environment: Type.Optional(EnvironmentName),
  expiresIn: Type.Optional(Type.Integer({
    minimum: 1, maximum: 31536000, description:
    'Lifetime in seconds.', examples: [3600]
  }))
}, { $id: 'TokenRequest', additionalProperties: false })
export type TokenRequest = Static<typeof TokenRequest>

export const TokenAnswer = Type.Object({
  token: Type.String({ description: 'A signed JWT.', examples: ['eyJhbGciOiJIUzI1NiIsImtpZCI6ImtleV8xIn0.e30.c2ln'] }),
  expiresAt: EpochMs('When the token expires.')
}, { $id: 'Token' })
export type TokenAnswer = Static<typeof TokenAnswer>

export const TokenVerify = Type.Object({
  token: Type.String({ minLength: 1, examples: ['eyJhbGciOiJIUzI1NiIsImtpZCI6ImtleV8xIn0.e30.c2ln'] })
}, { $id: 'TokenVerify', additionalProperties: false })

export const Claims = Type.Object({
  sub: Type.String({ examples: ['user-17'] }),
  aud: Type.String({ description: 'The application.', examples: ['app_abc123'] }),
  iss: Type.String({ examples: ['realtime-platform'] }),
  exp: Type.Number({ description: 'Epoch seconds, which may have a fraction.', examples: [1705316400] }),
  iat: Type.Number({ description: 'Epoch seconds, which may have a fraction.', examples: [1705312800] }),
  permissions: Type.Array(Type.String(), { examples: [['subscribe']] }),
  environment: Type.Optional(EnvironmentName)
}, { $id: 'Claims' })
export type Claims = Static<typeof Claims>

export const TokenVerdict = Type.Object(
  { valid: Type.Literal(true), claims: Type.Unsafe<Claims>({ $ref: 'Claims#' }) }, { $id: 'TokenVerdict' }
)

export const Login = Type.Object({
  email: Text(254, { examples: ['ada@example.com'] }),
  password: Type.String({ minLength: 1, maxLength: 1024, examples: ['correct horse battery staple'] })
}, { $id: 'Login', additionalProperties: false })

export const User = Type.Object({
  id: Type.String({ examples: ['usr_abc123'] }),
  email: Type.String({ examples: ['ada@example.com'] }),
  name: Type.String({ examples: ['Ada'] })
}, { $id: 'User' })
export type User = Static<typeof User>

export const LoginAnswer = Type.Object({
  sessionToken: Type.String({ examples: ['sess_9a8b7c6d'] }),
  user: Type.Unsafe<User>({ $ref: 'User#' })
}, {
  $id: 'LoginAnswer',
  description: 'The session token cannot be read again. Send it as `Authorization: <session token>`.'
})
export type LoginAnswer = Static<typeof LoginAnswer>

export const MfaRequired = Type.Object({
  mfaRequired: Type.Literal(true),
  mfaToken: Type.String({
    description: 'The token for `POST /api/auth/mfa/verify`, valid for five minutes.',
    examples: ['mfa_pending_9a8b7c6d']
  })
}, { $id: 'MfaRequired', description: 'The password is right, and a code is required.' })

export const LoginOutcome = Type.Union([
  Type.Unsafe<LoginAnswer>({ $ref: 'LoginAnswer#' }), Type.Unsafe<Static<typeof MfaRequired>>({ $ref: 'MfaRequired#' })
], { $id: 'LoginOutcome' })
export type LoginOutcome = Static<typeof LoginOutcome>

const Code = Type.String({
  minLength: 6, maxLength: 64, pattern: '^[A-Za-z0-9 -]+$',
  description: 'A code of the authenticator app, or a recovery code.', examples: ['123456']
})
const OneTimeToken = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: 200, description, examples: [example] })

export const MfaVerify = Type.Object({
  mfaToken: OneTimeToken('The `mfaToken` of the login.', 'mfa_pending_9a8b7c6d'),
  code: Code
}, { $id: 'MfaVerify', additionalProperties: false })
export const MfaConfirm = Type.Object({ code: Code }, { $id: 'MfaConfirm', additionalProperties: false })
export const MfaSetupRequest = Type.Object({ currentPassword: Type.Optional(CurrentPassword) }, {
  $id: 'MfaSetupRequest', additionalProperties: false
})
export const MfaDisable = Type.Object({
  currentPassword: Type.Optional(CurrentPassword),
  code: Type.Optional(Code)
}, {
  $id: 'MfaDisable',
  additionalProperties: false,
  description: 'To disable your own second factor, send the password and a code.',
  examples: [{ currentPassword: 'correct horse battery staple', code: '123456' }]
})

export const MfaSetup = Type.Object({
  secret: Type.String({
    description: 'The seed in base32, to type in by hand.', examples: ['JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP']
  }),
  otpauthUrl: Type.String({ examples: ['otpauth://totp/realtime-platform:ada%40example.com?secret=JBSWY3DPEHPK3PXP'] }),
  qrCode: Type.String({
    description: 'The QR code of `otpauthUrl`: an SVG in a data URL.',
    examples: ['data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=']
  })
}, { $id: 'MfaSetup' })
export type MfaSetup = Static<typeof MfaSetup>

export const RecoveryCodes = Type.Object({
  recoveryCodes: Type.Array(Type.String(), {
    description: 'The codes cannot be read again. Each works once, in place of a code of the app.',
    examples: [['abcd-efgh-jkmn-pqrs']]
  })
}, { $id: 'RecoveryCodes' })
export type RecoveryCodes = Static<typeof RecoveryCodes>

export const ForgotPassword = Type.Object({ email: Text(254, { examples: ['ada@example.com'] }) }, {
  $id: 'ForgotPassword', additionalProperties: false
})
export const ResetPassword = Type.Object({
  token: OneTimeToken('The token of the mail.', 'reset_9a8b7c6d'),
  password: Password,
  revokeApiKeys: Type.Optional(Type.Boolean({
    default: true,
    description:
      'Whether the API keys of the user end as well. Send false only if the password was forgotten, not stolen.',
    examples: [true]
  }))
}, { $id: 'ResetPassword', additionalProperties: false })

export const SessionInfo = Type.Object({
  id: Type.String({
    description:
    'The id of the session. It is not a credential.', examples: ['sess_9a8b7c6d5e4f3a2b']
  }),
  current: Type.Boolean({ description: 'Whether it is the session of the request.', examples: [true] }),
  address: Nullable(Type.String(), { description: 'The address of the login.', examples: ['203.0.113.7'] }),
  userAgent: Nullable(Type.String(), { examples: ['Mozilla/5.0'] }),
  createdAt: EpochMs('When the session began.'),
  seenAt: EpochMs('When the session was last used, to the minute.'),
  expiresAt: EpochMs('When the session ends if it is not used.')
}, { $id: 'Session' })
export type SessionInfo = Static<typeof SessionInfo>

export const sessionList = listShape('sessions', {
  sorts: ['seenAt', 'createdAt', 'expiresAt'], order: 'desc', search: ['address', 'userAgent']
})
export const SessionQuery = Type.Object(listFields(sessionList, 'firefox'), { additionalProperties: false })
export type SessionQuery = Static<typeof SessionQuery>

export const SessionPath = Type.Object({
  id: Type.String({
    minLength: 1, maxLength: 100, pattern: '^[A-Za-z0-9_-]+$', description: 'The session.',
    examples: ['sess_9a8b7c6d5e4f3a2b']
  })
})

export const Setup = Type.Object({
  name: Text(200, { examples: ['Ada'] }),
  email: Email,
  password: Password,
  setupToken: Type.Optional(
    Type.String({
      maxLength: 200,
      description:
        'The one-time token that the server prints at start. Required from another machine and through a proxy.'
    })
  )
}, { $id: 'Setup', additionalProperties: false })
export type Setup = Static<typeof Setup>

export const SetupStatus = Type.Object({ setupRequired: Type.Boolean({ examples: [false] }) }, { $id: 'SetupStatus' })

export const Me = Type.Object({
  kind: Enum('CredentialKind', ['session', 'token']),
  user: Type.Optional(Type.Unsafe<User>({ $ref: 'User#' })),
  subject: Type.Optional(Type.String({ description: 'The `sub` of a token.' })),
  applicationId: Type.Optional(Type.String({ description: 'The application of a token.' })),
  environment: Type.Optional(EnvironmentName),
  roles: Type.Optional(Type.Array(
    Type.Object({
      name: Type.String({ examples: ['super_admin'] }),
      applicationId: Nullable(Type.String(), {
        description: 'The application that the role applies to; null for everywhere.'
      }),
      permissions: Type.Array(Type.String(), { examples: [['topics:read']] })
    }),
    { description: 'The roles of a user.' }
  )),
  permissions: Type.Array(Type.String(), {
    description:
      'The permissions of a token as it carries them, those of an API key that its creator still holds, or those ' +
        'that a user holds everywhere.',
    examples: [['topics:read']]
  }),
  expiresAt: Nullable(EpochMs('When the credential expires.'), {
    description: 'When the credential expires; null for an API key that does not. Epoch milliseconds.'
  })
}, { $id: 'Me' })
export type Me = Static<typeof Me>
