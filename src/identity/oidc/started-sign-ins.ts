import type { Encryption } from '../../foundation/encryption/encryption.ts'
import type { SignInSecrets } from './provider.ts'
import type { ReturnTarget } from './return-to.ts'

/** Time for the user at the provider. */
export const signInMs = 600_000
/** Sign-ins of one browser at a time, in several tabs. The cookie must stay below 4 KiB. */
const startedMax = 3
const place = { table: 'cookies', column: 'oidc', id: '' }

export interface StartedSignIn extends SignInSecrets {
  returnTo: ReturnTarget
  expiresAt: number
}

export type StartedSignIns = ReturnType<typeof createStartedSignIns>

/**
 * The sign-ins that a browser has started, in an encrypted cookie: any node can continue them, and only that browser.
 * The cookie is sent to the routes of the sign-in only. `Lax` lets it come along when the provider sends the browser
 * back.
 */
export function createStartedSignIns ({ encryption, publicUrl }: { encryption: Encryption, publicUrl: string }) {
  const { protocol, pathname } = new URL(publicUrl)
  const isSecure = protocol === 'https:'
  const name = isSecure ? '__Secure-realtime_oidc' : 'realtime_oidc'
  const attributes = `Path=${pathname.replace(/\/+$/, '')}/api/auth/oidc; HttpOnly; SameSite=Lax` +
    (isSecure ? '; Secure' : '')

  return {
    /** Returns the sign-ins of a `Cookie` header that have not expired. A cookie that was not written here has none. */
    read (header: string | undefined): StartedSignIn[] {
      const sealed = valueOf(header, name)
      if (sealed === undefined) return []
      try {
        const started = JSON.parse(encryption.decrypt(sealed, place)) as StartedSignIn[]
        return started.filter(({ expiresAt }) => expiresAt > Date.now())
      } catch {
        return []
      }
    },

    /** Returns a `Set-Cookie` header with the latest sign-ins. */
    write (started: readonly StartedSignIn[]): string {
      if (started.length === 0) return `${name}=; Max-Age=0; ${attributes}`
      const sealed = encryption.encrypt(JSON.stringify(started.slice(-startedMax)), place)
      return `${name}=${sealed}; Max-Age=${signInMs / 1000}; ${attributes}`
    }
  }
}

function valueOf (header: string | undefined, name: string): string | undefined {
  const found = header?.split(';').map(part => part.trim()).find(part => part.startsWith(`${name}=`))
  return found?.slice(name.length + 1)
}
