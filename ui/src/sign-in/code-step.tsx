import { unwrap } from '@realtime-platform/client/admin'
import { useState } from 'react'
import { TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { signInApi } from './entering.ts'
import { linkLook } from './frame.tsx'
import { SendButton } from '../components/send-button.tsx'

/** The second step of a sign-in: a code of the authenticator app, or a recovery code. */
export function CodeStep ({
  mfaToken,
  onSession,
  onBack
}: {
  mfaToken: string
  onSession: (sessionToken: string) => Promise<void>
  onBack: () => void
}) {
  const [isRecovery, setRecovery] = useState(false)
  const form = useDelayedForm({ code: '' }, async ({ code }) => {
    const { sessionToken } = await unwrap(
      signInApi.POST('/api/auth/mfa/verify', { body: { mfaToken, code: code.trim() } })
    )
    await onSession(sessionToken)
  })
  return (
    <Form form={form} fields={['code']}>
      <TextField
        key={String(isRecovery)}
        label={isRecovery ? 'Recovery code' : 'Code of your authenticator app'}
        autoComplete='one-time-code'
        autoFocus
        className='font-mono'
        {...(!isRecovery && { inputMode: 'numeric' as const, maxLength: 8, placeholder: '123456' })}
        hint={isRecovery ? 'Each recovery code works once.' : 'Six digits that change every 30 seconds.'}
        value={form.values.code}
        error={form.error('code')}
        onChange={event => form.set({ code: event.target.value })}
      />
      <SendButton form={form}>Verify code</SendButton>
      <div className='flex flex-wrap justify-between gap-2'>
        <button
          type='button'
          className={linkLook}
          onClick={() => {
            setRecovery(!isRecovery)
            form.set({ code: '' })
          }}
        >
          {isRecovery ? 'Use the authenticator app' : 'Use a recovery code'}
        </button>
        <button type='button' className={linkLook} onClick={onBack}>
          Start over
        </button>
      </div>
    </Form>
  )
}
