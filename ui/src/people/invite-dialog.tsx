import { useState } from 'react'
import type { DataOf as ResultOf } from '@realtime-platform/client/admin'
import type { AdminClient } from '@realtime-platform/client/admin'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Time } from '../components/time.tsx'
import { usePlaceName } from './names.ts'
import { RoleAndPlaceFields, usePlaceChoices } from './place-fields.tsx'

interface Body {
  email: string
  roleId: string
  applicationId?: string
}

const post = (api: AdminClient, body: Body) => api.POST('/api/invites', { body })
type Created = ResultOf<Awaited<ReturnType<typeof post>>>

/** Invites a person to a role. The link is shown once, if the server returns it. */
export function InviteDialog ({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const [created, setCreated] = useState<Created | null>(null)
  const close = () => {
    setCreated(null)
    onClose()
  }
  return (
    <Dialog title={created === null ? 'Invite user' : 'The invite is sent'} isOpen={isOpen} onClose={close}>
      {created === null
        ? (
          <InviteForm onClose={close} onCreated={setCreated} />
          )
        : (
          <Sent invite={created} onClose={close} onNext={() => setCreated(null)} />
          )}
    </Dialog>
  )
}

function InviteForm ({ onClose, onCreated }: { onClose: () => void; onCreated: (invite: Created) => void }) {
  const places = usePlaceChoices('invites:create')
  const create = useAction(post, { invalidates: ['/api/invites'], isErrorShown: true, scope: null })
  const form = useForm({ email: '', roleId: '', applicationId: null as string | null }, async () => {
    onCreated(await create.mutateAsync(body))
  })
  const { values, set, error } = form
  const applicationId = values.applicationId ?? places[0]?.value ?? ''
  const body = { email: values.email, roleId: values.roleId, ...(applicationId !== '' && { applicationId }) }
  return (
    <Form form={form} fields={['email', 'roleId', 'applicationId']}>
      <TextField
        label='E-mail'
        type='email'
        autoFocus
        value={values.email}
        error={error('email')}
        onChange={event => set({ email: event.target.value })}
      />
      <RoleAndPlaceFields
        value={{ roleId: values.roleId, applicationId }}
        onChange={set}
        permission='invites:create'
        error={error}
      />
      <Buttons>
        <CopyAs request={{ method: 'POST', path: '/api/invites', body }} />
        <Button onClick={onClose}>Cancel</Button>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Send invite
        </Button>
      </Buttons>
    </Form>
  )
}

function Sent ({ invite, onClose, onNext }: { invite: Created; onClose: () => void; onNext: () => void }) {
  const placeName = usePlaceName()
  return (
    <div className='grid gap-4'>
      <p>
        <strong className='break-all'>{invite.email}</strong> can become {invite.role},{' '}
        {placeName(invite.applicationId)}. The link works once and expires <Time at={invite.expiresAt} />.
      </p>
      {invite.url === undefined
        ? (
          <p className='text-muted'>A mail with the link is on its way. Only its reader sees the link.</p>
          )
        : (
          <>
            <CodeBlock label='The link. It is shown only now' text={invite.url} />
            <p className='text-muted'>
              The server mails it, if it has a mail server. Whoever has the link can accept the invite.
            </p>
          </>
          )}
      <Buttons>
        <Button onClick={onNext}>Invite another</Button>
        <Button kind='primary' onClick={onClose}>
          Done
        </Button>
      </Buttons>
    </div>
  )
}
