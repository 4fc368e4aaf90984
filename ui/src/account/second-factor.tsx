import type { RealtimeError } from '@realtime-platform/client'
import { useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { useMe } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { Section } from '../components/page.tsx'
import { SendButton } from '../components/send-button.tsx'
import { Skeleton } from '../components/states.tsx'
import { AccountTab } from './account-page.tsx'
import { QrCode } from './qr-code.tsx'
import { RecoveryCodes } from './recovery-codes.tsx'

type Account = DataOf<'/api/users/{id}'>

/** Sets up and disables the second factor of the own account. */
export function SecondFactor () {
  const id = useMe()?.user?.id ?? ''
  const account = useGlobal('/api/users/{id}', { path: { id } }, { enabled: id !== '' })
  const [codes, setCodes] = useState<readonly string[] | null>(null)
  // Roles without users:update do not show whether a factor is enabled. The answer to the set-up does.
  const [learned, setLearned] = useState<boolean | null>(null)
  if (id === '' || account.isPending) {
    return (
      <AccountTab>
        <Skeleton lines={4} />
      </AccountTab>
    )
  }
  if (codes !== null) {
    return (
      <AccountTab>
        <RecoveryCodes codes={codes} onClose={() => setCodes(null)} />
      </AccountTab>
    )
  }
  const isEnabled = learned ?? isEnabledIn(account.data)
  return (
    <AccountTab>
      {isEnabled
        ? (
          <Disable id={id} onDone={() => setLearned(false)} />
          )
        : (
          <SetUp
            id={id}
            onEnabled={codes => {
              setLearned(true)
              setCodes(codes)
            }}
            onConflict={() => setLearned(true)}
          />
          )}
    </AccountTab>
  )
}

const isEnabledIn = (account: Account | undefined): boolean => account?.mfaEnabled === true

interface Seed {
  secret: string
  otpauthUrl: string
}

function SetUp ({
  id,
  onEnabled,
  onConflict
}: {
  id: string
  onEnabled: (codes: readonly string[]) => void
  onConflict: () => void
}) {
  const [seed, setSeed] = useState<Seed | null>(null)
  const begin = useAction(
    (api, body: { currentPassword: string }) =>
      api.POST('/api/users/{id}/mfa/setup', { params: { path: { id } }, body }),
    { isErrorShown: true, scope: null }
  )
  const form = useDelayedForm({ currentPassword: '' }, async body => {
    setSeed(
      await begin.mutateAsync(body).catch((error: RealtimeError) => {
        if (error.code === 'MFA_ENABLED') onConflict()
        throw error
      })
    )
  })
  if (seed !== null) return <Confirm id={id} seed={seed} onEnabled={onEnabled} onCancel={() => setSeed(null)} />
  return (
    <Section title='Second factor' actions={<Badge>off</Badge>}>
      <p className='mb-4 text-muted'>
        With a second factor, signing in with your password also asks for a code of an authenticator app, such as
        1Password, Aegis or Google Authenticator.
      </p>
      <Form form={form} fields={['currentPassword']}>
        <TextField
          label='Current password'
          type='password'
          autoComplete='current-password'
          value={form.values.currentPassword}
          error={form.error('currentPassword')}
          onChange={event => form.set({ currentPassword: event.target.value })}
        />
        <div className='grid justify-items-start gap-2'>
          <SendButton form={form}>Set up second factor</SendButton>
        </div>
      </Form>
    </Section>
  )
}

function Confirm ({
  id,
  seed: { secret, otpauthUrl },
  onEnabled,
  onCancel
}: {
  id: string
  seed: Seed
  onEnabled: (codes: readonly string[]) => void
  onCancel: () => void
}) {
  const confirm = useAction(
    (api, body: { code: string }) => api.POST('/api/users/{id}/mfa/confirm', { params: { path: { id } }, body }),
    { isErrorShown: true, invalidates: ['/api/users'], scope: null }
  )
  const form = useDelayedForm({ code: '' }, async ({ code }) => {
    const { recoveryCodes } = await confirm.mutateAsync({ code: code.trim() })
    onEnabled(recoveryCodes)
  })
  return (
    <Section title='Set up second factor'>
      <Form form={form} fields={['code']}>
        <div className='flex flex-wrap gap-5'>
          <QrCode text={otpauthUrl} label='QR code of the second factor' />
          <div className='min-w-0 flex-1 basis-56'>
            <ol className='ml-4 grid list-decimal gap-2'>
              <li>Scan the QR code with your authenticator app.</li>
              <li>Enter the code that it shows.</li>
            </ol>
            <p className='mt-4 mb-1 text-muted'>Without a camera, type this seed:</p>
            <Code isCopyable>{secret}</Code>
          </div>
        </div>
        <TextField
          label='Code'
          inputMode='numeric'
          autoComplete='one-time-code'
          autoFocus
          maxLength={8}
          placeholder='123456'
          className='max-w-40 font-mono'
          value={form.values.code}
          error={form.error('code')}
          onChange={event => form.set({ code: event.target.value })}
        />
        <div className='flex flex-wrap items-center gap-2'>
          <SendButton form={form}>Enable second factor</SendButton>
          <Button onClick={onCancel}>Cancel</Button>
        </div>
      </Form>
    </Section>
  )
}

function Disable ({ id, onDone }: { id: string; onDone: () => void }) {
  const disable = useAction(
    (api, body: { currentPassword: string; code: string }) =>
      api.POST('/api/users/{id}/mfa/disable', { params: { path: { id } }, body }),
    {
      isErrorShown: true,
      invalidates: ['/api/users'],
      done: 'Second factor disabled',
      onDone,
      scope: null
    }
  )
  const form = useDelayedForm({ currentPassword: '', code: '' }, body =>
    disable.mutateAsync({ ...body, code: body.code.trim() })
  )
  return (
    <Section title='Second factor' actions={<Badge tone='ok'>enabled</Badge>}>
      <p className='mb-4 text-muted'>
        Signing in with your password asks for a code. For new recovery codes, or another app, disable the second
        factor and set it up again. You get a mail about it.
      </p>
      <Form form={form} fields={['currentPassword', 'code']}>
        <TextField
          label='Current password'
          type='password'
          autoComplete='current-password'
          value={form.values.currentPassword}
          error={form.error('currentPassword')}
          onChange={event => form.set({ currentPassword: event.target.value })}
        />
        <TextField
          label='Code'
          hint='A code of the app, or a recovery code.'
          autoComplete='one-time-code'
          className='max-w-60 font-mono'
          value={form.values.code}
          error={form.error('code')}
          onChange={event => form.set({ code: event.target.value })}
        />
        <div className='grid justify-items-start gap-2'>
          <SendButton form={form} kind='danger'>
            Disable second factor
          </SendButton>
        </div>
      </Form>
    </Section>
  )
}
