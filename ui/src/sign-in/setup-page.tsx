import { useNavigate } from '@tanstack/react-router'
import { unwrap } from '@realtime-platform/client/admin'
import { useEffect } from 'react'
import { useGlobal } from '../app/queries.ts'
import { session } from '../app/session.ts'
import { TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { signInApi, useEnter } from './entering.ts'
import { SignInFrame } from './frame.tsx'
import { SendButton } from '../components/send-button.tsx'

/** A browser on the server's own machine needs no token, unless a proxy is in between. */
const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)

/** Creates the first user, while there is none. */
export function SetupPage () {
  const navigate = useNavigate()
  const enter = useEnter()
  const methods = useGlobal('/api/auth/methods')
  const isDone = methods.data?.setupRequired === false
  useEffect(() => {
    if (isDone && session.value === null) {
      void navigate({ to: '/login', replace: true })
    }
  }, [isDone, navigate])
  const form = useDelayedForm(
    { name: '', email: '', password: '', setupToken: '' },
    async ({ setupToken, ...values }) => {
      const body = { ...values, ...(setupToken !== '' && { setupToken }) }
      const { sessionToken } = await unwrap(signInApi.POST('/api/auth/setup', { body }))
      await enter(sessionToken, { to: '/first-steps' })
    }
  )
  const { values, set, error } = form
  const needsToken = !isLocal || form.failure?.code === 'SETUP_TOKEN_REQUIRED' || values.setupToken !== ''
  return (
    <SignInFrame
      title='Set up the platform'
      intro='Create the first user, who may do everything and invites the others.'
    >
      <Form form={form} fields={['name', 'email', 'password', 'setupToken']}>
        <TextField
          label='Name'
          autoComplete='name'
          autoFocus
          value={values.name}
          error={error('name')}
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='E-mail'
          type='email'
          autoComplete='username'
          value={values.email}
          error={error('email')}
          onChange={event => set({ email: event.target.value })}
        />
        <TextField
          label='Password'
          type='password'
          autoComplete='new-password'
          hint='At least 8 characters. A long pass phrase is best.'
          value={values.password}
          error={error('password')}
          onChange={event => set({ password: event.target.value })}
        />
        {needsToken && (
          <TextField
            label='Setup token'
            autoComplete='one-time-code'
            hint='The server prints it in its output at start. It proves that you operate the server.'
            value={values.setupToken}
            error={error('setupToken')}
            onChange={event => set({ setupToken: event.target.value })}
          />
        )}
        <SendButton form={form}>Create user</SendButton>
      </Form>
    </SignInFrame>
  )
}
