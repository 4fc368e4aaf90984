import { unwrap } from '@realtime-platform/client/admin'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Button } from '../components/button.tsx'
import { TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { signInApi } from './entering.ts'
import { linkLook, SignInFrame } from './frame.tsx'
import { SendButton } from '../components/send-button.tsx'

/** Requests a mail with a link to a new password. The page shows the same for every address. */
export function ForgotPasswordPage () {
  const [sentTo, setSentTo] = useState<string | null>(null)
  const form = useDelayedForm({ email: '' }, async body => {
    await unwrap(signInApi.POST('/api/auth/forgot-password', { body }))
    setSentTo(body.email)
  })
  const back = (
    <Link to='/login' className={linkLook}>
      Back to sign-in
    </Link>
  )
  if (sentTo !== null) {
    return (
      <SignInFrame title='Look into your mail' footer={back}>
        <div className='grid gap-3' role='status'>
          <p>
            If <strong className='break-all'>{sentTo}</strong> has an account, a mail with a link is on its way. The
            link works once, within an hour.
          </p>
          <p className='text-muted'>
            A server without SMTP_URL sends no mail. Its operator finds the link in its log, as mail.not_configured.
          </p>
          <Button onClick={() => setSentTo(null)} className='justify-self-start'>
            Use another address
          </Button>
        </div>
      </SignInFrame>
    )
  }
  return (
    <SignInFrame title='Forgot password' intro='You get a mail with a link to set a new password.' footer={back}>
      <Form form={form} fields={['email']}>
        <TextField
          label='E-mail'
          type='email'
          autoComplete='username'
          autoFocus
          value={form.values.email}
          error={form.error('email')}
          onChange={event => form.set({ email: event.target.value })}
        />
        <SendButton form={form}>Send link</SendButton>
      </Form>
    </SignInFrame>
  )
}
