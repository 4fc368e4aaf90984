import { unwrap } from '@realtime-platform/client/admin'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { buttonLook } from '../components/button.tsx'
import { Checkbox, TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { signInApi } from './entering.ts'
import { linkLook, SignInFrame } from './frame.tsx'
import { useMailedToken } from './mailed-token.ts'
import { SendButton } from '../components/send-button.tsx'

const signInLink = (
  <Link to='/login' className={linkLook}>
    Back to sign-in
  </Link>
)

/** Sets a new password with the token of a mail. */
export function ResetPasswordPage () {
  const token = useMailedToken()
  const [isDone, setDone] = useState(false)
  if (isDone) {
    return (
      <SignInFrame title='Your password is changed'>
        <p className='mb-4 text-muted' role='status'>
          Every session of your account has ended. Sign in with the new password.
        </p>
        <Link to='/login' className={buttonLook('primary')}>
          Sign in
        </Link>
      </SignInFrame>
    )
  }
  if (token === null) {
    return (
      <SignInFrame title='Open the link of the mail' footer={signInLink}>
        <p className='text-muted'>
          This page needs the token of the mailed link, and forgets it when it is loaded again. Open the link once
          more, or{' '}
          <Link to='/forgot-password' className={linkLook}>
            request another
          </Link>
          .
        </p>
      </SignInFrame>
    )
  }
  return <NewPassword key={token} token={token} onDone={() => setDone(true)} />
}

function NewPassword ({ token, onDone }: { token: string; onDone: () => void }) {
  const form = useDelayedForm({ password: '', revokeApiKeys: true }, async values => {
    await unwrap(signInApi.POST('/api/auth/reset-password', { body: { ...values, token } }))
    onDone()
  })
  const { values, set, error, failure } = form
  return (
    <SignInFrame title='Set a new password' intro='It ends every session of your account.' footer={signInLink}>
      <Form form={form} fields={['password']}>
        <TextField
          label='New password'
          type='password'
          autoComplete='new-password'
          autoFocus
          hint='At least 8 characters. A long pass phrase is best.'
          value={values.password}
          error={error('password')}
          onChange={event => set({ password: event.target.value })}
        />
        <Checkbox
          label='Revoke my API keys as well'
          hint='Keep them only if the password was forgotten, not stolen: a thief may have created a key.'
          checked={values.revokeApiKeys}
          onChange={event => set({ revokeApiKeys: event.target.checked })}
        />
        <SendButton form={form}>Set password</SendButton>
        {failure?.code === 'RESET_INVALID' && (
          <Link to='/forgot-password' className={linkLook}>
            Request another link
          </Link>
        )}
      </Form>
    </SignInFrame>
  )
}
