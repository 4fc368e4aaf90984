import { Type, type Static } from '@sinclair/typebox'
import { Nullable } from './common.ts'

export const SignInMethods = Type.Object({
  password: Type.Boolean({ description: 'Whether `POST /api/auth/login` accepts passwords.', examples: [true] }),
  setupRequired: Type.Boolean({
    description: 'Whether the first user must be created with `POST /api/auth/setup`.', examples: [false]
  }),
  oidc: Nullable(
    Type.Object({
      name: Type.String({ description: 'The host of the identity provider.', examples: ['id.example.com'] }),
      startUrl: Type.String({
        description: 'Send the browser there to sign in; `returnTo` may be added.',
        examples: ['https://realtime.example.com/api/auth/oidc/start']
      })
    }),
    { description: 'The identity provider; null without one.' }
  )
}, { $id: 'SignInMethods' })
export type SignInMethods = Static<typeof SignInMethods>

export const OidcStartQuery = Type.Object({
  returnTo: Type.Optional(Type.String({
    minLength: 1,
    maxLength: 500,
    description:
      'Where the sign-in page leads afterwards: a path of this server, or a URL of an origin in `CORS_ORIGINS`. ' +
        'Printable ASCII; encode other characters.',
    examples: ['/topics?environment=production']
  }))
}, { additionalProperties: false })

/** The provider may send more parameters, such as `session_state`. Each may be missing in a request by hand. */
export const OidcCallbackQuery = Type.Object({
  code: Type.Optional(Type.String({
    maxLength: 8192, description: 'The code of the provider.', examples: ['b9wvWLZNwuDK']
  })),
  state: Type.Optional(Type.String({
    maxLength: 1024, description: 'The state that `start` has sent.', examples: ['jvBfTQVxYGPI']
  })),
  iss: Type.Optional(Type.String({
    maxLength: 2048, description: 'The issuer (RFC 9207).', examples: ['https://id.example.com']
  })),
  error: Type.Optional(Type.String({
    maxLength: 1024, description: 'Why the provider refused.', examples: ['access_denied']
  })),
  error_description: Type.Optional(Type.String({
    maxLength: 8192, description: 'The reason in words.', examples: ['The user cancelled']
  }))
})

export const OidcExchange = Type.Object({
  code: Type.String({
    minLength: 1, maxLength: 200, description: 'The code after `#code=` in the URL of the sign-in page.',
    examples: ['oidc_9a8b7c6d']
  })
}, { $id: 'OidcExchange', additionalProperties: false })

export const OidcRedirect = { type: 'null', description: 'A redirect, in `Location`.' } as const
