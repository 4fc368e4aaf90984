import type { SignInMethods as Methods } from '../../../schemas/oidc.ts'
import type { OidcSettings } from '../../config/oidc-settings.ts'
import { ConflictError, ForbiddenError } from '../../errors.ts'

export type SignInMethods = ReturnType<typeof createSignInMethods>

/** Decides which ways of signing in are open. Without `oidc`, people sign in with passwords only. */
export function createSignInMethods (
  oidc: Pick<OidcSettings, 'issuer' | 'isOnly' | 'publicUrl'> | undefined
) {
  return {
    hasPasswords: oidc?.isOnly !== true,
    hasProvider: oidc !== undefined,

    /** Throws ForbiddenError `OIDC_ONLY` if nobody may sign in with a password. */
    requirePasswords (): void {
      if (oidc?.isOnly !== true) return
      throw new ForbiddenError(
        'OIDC_ONLY', 'Passwords and invites are disabled. Sign in with the identity provider'
      )
    },

    /** Throws ConflictError `OIDC_ACCOUNT` for a user without a password, while there is an identity provider. */
    requireOwnPassword (user: { password_set_by: string }): void {
      if (oidc === undefined || user.password_set_by !== 'none') return
      throw new ConflictError(
        'OIDC_ACCOUNT',
        'The user signs in with the identity provider, which manages their address, password and second factor'
      )
    },

    /** Returns what a sign-in page offers. */
    describe (setupRequired: boolean): Methods {
      return {
        password: oidc?.isOnly !== true,
        setupRequired,
        oidc: oidc === undefined
          ? null
          : { name: new URL(oidc.issuer).host, startUrl: `${oidc.publicUrl}/api/auth/oidc/start` }
      }
    }
  }
}
