import { unwrap } from '@realtime-platform/client/admin'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { CodeStep } from './code-step.tsx'
import { signInApi, useEnter } from './entering.ts'
import { linkLook, Notice, SignInFrame } from './frame.tsx'
import { useMailedToken } from './mailed-token.ts'
import { SendButton } from '../components/send-button.tsx'

/** Accepts an invite: creates the user, or adds the role to a user who proves their password. */
export function AcceptInvitePage () {
  const token = useMailedToken()
  if (token === null) {
    return (
      <SignInFrame title='Open the link of the invite'>
        <p className='text-muted'>
          This page needs the token of the mailed link, and forgets it when it is loaded again. Open the link once
          more, or ask for a new invite. If you have accepted it already,{' '}
          <Link to='/login' className={linkLook}>
            sign in
          </Link>
          .
        </p>
      </SignInFrame>
    )
  }
  return <Accept key={token} token={token} />
}

function Accept ({ token }: { token: string }) {
  const enter = useEnter()
  const [mfaToken, setMfaToken] = useState<string | null>(null)
  const form = useDelayedForm({ name: '', password: '' }, async values => {
    const answer = await unwrap(signInApi.POST('/api/auth/accept-invite', { body: { ...values, token } }))
    if ('sessionToken' in answer) await enter(answer.sessionToken)
    else setMfaToken(answer.mfaToken)
  })
  const { values, set, error, failure } = form
  // The server checks the password only if the address has an account.
  const isKnown = failure?.code === 'LOGIN_FAILED'
  if (mfaToken !== null) {
    return (
      <SignInFrame title='Second factor' intro='The role is added to your account. To sign in, enter a code as well.'>
        <CodeStep mfaToken={mfaToken} onSession={enter} onBack={() => setMfaToken(null)} />
      </SignInFrame>
    )
  }
  return (
    <SignInFrame
      title='Accept the invite'
      intro={
        <>
          Choose a name and a password. If your address has an account already, enter its password: the role is added
          to it, and its name stays.
        </>
      }
    >
      <Form form={form} fields={['name', 'password']}>
        {isKnown && <Notice>Your address already has an account, and this is not its password.</Notice>}
        <TextField
          label='Name'
          autoComplete='name'
          autoFocus
          value={values.name}
          error={error('name')}
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='Password'
          type='password'
          autoComplete={isKnown ? 'current-password' : 'new-password'}
          hint='At least 8 characters. A long pass phrase is best.'
          value={values.password}
          error={error('password')}
          onChange={event => set({ password: event.target.value })}
        />
        <SendButton form={form}>Accept invite</SendButton>
        {isKnown && (
          <Link to='/forgot-password' className={linkLook}>
            Forgot password
          </Link>
        )}
      </Form>
    </SignInFrame>
  )
}
