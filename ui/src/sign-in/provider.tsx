import { RealtimeError } from '@realtime-platform/client'
import { unwrap } from '@realtime-platform/client/admin'
import { LogIn } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useObserved } from '../app/observed.ts'
import { buttonLook } from '../components/button.tsx'
import { signInApi, useEnter } from './entering.ts'
import { fragment } from './fragment.ts'
import { ownPath } from './own-path.ts'

/* Signing in with the identity provider: the button, and the way back with a code or an error behind the `#`. */

/** Set while the browser is at the provider, if the reader chose to stay signed in. */
const keptMark = 'realtime.stay-signed-in'

export function ProviderButton ({
  oidc,
  returnTo,
  isKept,
  isPrimary
}: {
  oidc: { name: string; startUrl: string }
  returnTo: string
  isKept: boolean
  isPrimary: boolean
}) {
  const url = new URL(oidc.startUrl, location.origin)
  url.searchParams.set('returnTo', returnTo)
  return (
    <a
      href={url.href}
      className={buttonLook(isPrimary ? 'primary' : 'normal')}
      onClick={() => {
        if (isKept) sessionStorage.setItem(keptMark, 'true')
        else sessionStorage.removeItem(keptMark)
      }}
    >
      <LogIn size={15} aria-hidden />
      Sign in with {oidc.name}
    </a>
  )
}

const sentences: Record<string, string> = {
  OIDC_ACCOUNT_CONFLICT:
    'Your address belongs to an account of another user of the identity provider. Ask an administrator to change it.',
  OIDC_CODE_INVALID: 'The sign-in took too long, or was opened in another browser. Sign in again.',
  OIDC_DENIED: 'The identity provider refused the sign-in, or you cancelled it.',
  OIDC_EMAIL_MISSING:
    'The identity provider sent no email address. An administrator can request it with OIDC_SCOPES.',
  OIDC_EMAIL_UNVERIFIED:
    'Your address has an account here, and the identity provider has not verified that the address is yours.',
  OIDC_NOT_CONFIGURED: 'The platform has no identity provider any more. Sign in with a password.',
  OIDC_NO_ROLE: 'The identity provider gives you no role on this platform. Ask an administrator for access.',
  OIDC_PROVIDER_ERROR: 'The identity provider reported an error. Try again; the log of the server has the details.',
  OIDC_RESPONSE_INVALID: 'The answer of the identity provider was not valid for this sign-in. Sign in again.',
  OIDC_STATE_INVALID:
    'The sign-in was not started in this browser, took too long, or was already completed. Sign in again.',
  OIDC_UNAVAILABLE: 'The identity provider cannot be reached. Try again in a moment.'
}

/** Returns a sentence for a code that the server has sent the browser back with. */
export const sentenceOf = (code: string): string =>
  sentences[code] ?? `The sign-in with the identity provider failed (${code.slice(0, 60)}).`

/** Completes a sign-in that comes back from the provider. */
export function useProviderReturn (): { isBusy: boolean; error: RealtimeError | null } {
  const arrived = useObserved(fragment)
  const enter = useEnter()
  const [isBusy, setBusy] = useState(fragment.value?.has('code') === true)
  const [error, setError] = useState<RealtimeError | null>(null)
  useEffect(() => {
    const found = fragment.value
    if (found === null) return
    // A code works once, so it is used once.
    fragment.set(null)
    const code = found.get('code')
    const refused = found.get('error')
    if (refused !== null) setError(new RealtimeError(refused.slice(0, 60), sentenceOf(refused)))
    if (code === null) return
    setBusy(true)
    const isKept = sessionStorage.getItem(keptMark) !== null
    sessionStorage.removeItem(keptMark)
    void unwrap(signInApi.POST('/api/auth/oidc/exchange', { body: { code } }))
      .then(({ sessionToken }) => enter(sessionToken, { isKept, to: ownPath(found.get('returnTo')) }))
      .catch((failure: unknown) => {
        setBusy(false)
        setError(
          failure instanceof RealtimeError && failure.code.startsWith('OIDC_')
            ? new RealtimeError(failure.code, sentenceOf(failure.code))
            : failure instanceof RealtimeError
              ? failure
              : new RealtimeError('FAILED', String(failure))
        )
      })
  }, [arrived, enter])
  return { isBusy, error }
}
