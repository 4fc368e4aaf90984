import { unwrap } from '@realtime-platform/client/admin'
import { Link, useNavigate } from '@tanstack/react-router'
import { useEffect, useState, type ReactNode } from 'react'
import type { DataOf } from '../app/api.ts'
import { useGlobal } from '../app/queries.ts'
import { ErrorNote } from '../components/error-note.tsx'
import { Checkbox, TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { Loaded, Skeleton } from '../components/states.tsx'
import { CodeStep } from './code-step.tsx'
import { signInApi, useEnter } from './entering.ts'
import { linkLook, SignInFrame } from './frame.tsx'
import { ownPath } from './own-path.ts'
import { ProviderButton, useProviderReturn } from './provider.tsx'
import { loginRoute } from './routes.ts'
import { SendButton } from '../components/send-button.tsx'

type Methods = DataOf<'/api/auth/methods'>

/** Opens a session, and leads back to where the reader came from. */
export function LoginPage () {
  const methods = useGlobal('/api/auth/methods')
  const navigate = useNavigate()
  const { isBusy, error } = useProviderReturn()
  const isSetupRequired = methods.data?.setupRequired === true
  useEffect(() => {
    if (isSetupRequired) void navigate({ to: '/setup', replace: true })
  }, [isSetupRequired, navigate])
  if (isBusy) {
    return (
      <SignInFrame title='Signing in'>
        <p className='text-muted' role='status'>
          Completing the sign-in of your identity provider…
        </p>
      </SignInFrame>
    )
  }
  return (
    <Loaded
      query={methods}
      skeleton={
        <SignInFrame title='Sign in'>
          <Skeleton lines={4} />
        </SignInFrame>
      }
    >
      {data => <SignIn methods={data} error={error} />}
    </Loaded>
  )
}

function SignIn ({
  methods: { password, oidc },
  error
}: {
  methods: Methods
  error: ReturnType<typeof useProviderReturn>['error']
}) {
  const { returnTo } = loginRoute.useSearch()
  const enter = useEnter()
  const [mfaToken, setMfaToken] = useState<string | null>(null)
  const [isKept, setKept] = useState(false)
  const to = ownPath(returnTo)
  const onSession = (sessionToken: string) => enter(sessionToken, { isKept, to })
  const keep = <Checkbox label='Stay signed in' checked={isKept} onChange={event => setKept(event.target.checked)} />
  if (mfaToken !== null) {
    return (
      <SignInFrame title='Second factor' intro='Your account asks for a code as well.'>
        <CodeStep mfaToken={mfaToken} onSession={onSession} onBack={() => setMfaToken(null)} />
      </SignInFrame>
    )
  }
  return (
    <SignInFrame
      title='Sign in'
      {...(to !== '/' && { intro: 'Afterwards, you return to the page that you opened.' })}
    >
      <div className='grid gap-4'>
        {error !== null && <ErrorNote error={error} />}
        {oidc !== null && !password && keep}
        {oidc !== null && <ProviderButton oidc={oidc} returnTo={to} isKept={isKept} isPrimary={!password} />}
        {oidc !== null && password && (
          <p className='flex items-center gap-3 text-xs text-muted before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line'>
            or with a password
          </p>
        )}
        {password && <PasswordForm onSession={onSession} onChallenge={setMfaToken} keep={keep} />}
      </div>
    </SignInFrame>
  )
}

function PasswordForm ({
  onSession,
  onChallenge,
  keep
}: {
  onSession: (sessionToken: string) => Promise<void>
  onChallenge: (mfaToken: string) => void
  keep: ReactNode
}) {
  const form = useDelayedForm({ email: '', password: '' }, async body => {
    const answer = await unwrap(signInApi.POST('/api/auth/login', { body }))
    if ('sessionToken' in answer) await onSession(answer.sessionToken)
    else onChallenge(answer.mfaToken)
  })
  const { values, set, error } = form
  return (
    <Form form={form} fields={['email', 'password']}>
      <TextField
        label='E-mail'
        type='email'
        autoComplete='username'
        autoFocus
        value={values.email}
        error={error('email')}
        onChange={event => set({ email: event.target.value })}
      />
      <TextField
        label='Password'
        type='password'
        autoComplete='current-password'
        value={values.password}
        error={error('password')}
        onChange={event => set({ password: event.target.value })}
      />
      <div className='flex flex-wrap items-center justify-between gap-2'>
        {keep}
        <Link to='/forgot-password' className={linkLook}>
          Forgot password
        </Link>
      </div>
      <SendButton form={form}>Sign in</SendButton>
    </Form>
  )
}
